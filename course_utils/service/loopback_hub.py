"""A hub for this machine alone: `python -m course_utils.service.loopback_hub FOLDER`.

It takes what `push_to_hub` and `HfApi` send and gives `from_pretrained` what it asks for, once HF_ENDPOINT is
its address. Any token may write, and everyone may read: it is for learning, and listens on 127.0.0.1 only.
`hub_storage` keeps what it is given.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import urllib.parse
from typing import BinaryIO

from course_utils.service import hub_storage
from course_utils.service.hub_storage import Refused, Repository, checked

LARGEST, BODY = 2_000_000_000, 20_000_000  # bytes: a large file, any other request
LARGE = 1_000_000  # bytes: from here on, and whatever holds weights, a file is sent by itself
WEIGHTS = (".safetensors", ".onnx", ".bin", ".pt", ".gguf")
DRAINED = 100_000_000  # bytes of a refused request that are thrown away, so that its sender sees why


class Hub(http.server.ThreadingHTTPServer):
    """The hub of a folder, on 127.0.0.1; raises `OSError` if the port or the folder cannot be had."""

    def __init__(self, folder: str | os.PathLike, port: int = 0):
        self.root = pathlib.Path(folder).resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        self.key, self.lock = secrets.token_bytes(), threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"

    def repository(self, owner: str, name: str) -> Repository:
        """A repository that need not be there; raises `Refused` for a name that leads elsewhere."""
        return hub_storage.repository(self.root, owner, name)

    def signature(self, *what: str | int) -> str:
        """Proves that this hub allowed an upload: it goes to the same address, but without the token."""
        return hmac.digest(self.key, json.dumps(what).encode(), "sha256").hex()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request: reads it, checks who asks, and answers."""

    timeout = 60  # seconds that a client may stay silent
    server: Hub

    def do_GET(self) -> None:
        """Answer any request, also a bad one, and stay up."""
        self.left = 0
        try:
            self.left = int(self.headers.get("Content-Length") or 0)
            if "Transfer-Encoding" in self.headers or self.left < 0:
                raise Refused(411, "Say by Content-Length how long the request is.")
            path = self.path.partition("?")[0].strip("/")
            self.route([urllib.parse.unquote(part) for part in path.split("/")])
        except Refused as error:
            self.refuse(error.status, str(error), error.code)
        except (ConnectionError, TimeoutError):
            pass  # the client left
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.refuse(400, "The request is not what this address takes.")
        except OSError as error:
            self.refuse(507, f"It cannot be stored: {error.strerror}.")

    do_HEAD = do_POST = do_PUT = do_GET

    def route(self, parts: list[str]) -> None:
        """Find what a path means; raises `Refused` for what is not known, not there or not allowed."""
        ask = self.command.replace("HEAD", "GET")
        if ask == "POST" and not re.fullmatch(r"Bearer +\S+", self.headers.get("Authorization") or ""):
            raise Refused(401, "Writing needs a token: set HF_TOKEN to any word.")
        match ask, *parts:
            case "GET", "":
                self.send_json({"hub": "on this machine"})
            case "POST", "api", "validate-yaml":
                self.body()
                self.send_json({"errors": [], "warnings": []})
            case "POST", "api", "repos", "create":
                self.create(json.loads(self.body()))
            case "PUT", "upload", owner, name, oid, size, signature:
                self.upload(owner, name, oid, int(size), signature)
            case "POST", owner, git, "info", "lfs", "objects", "batch" if git.endswith(".git"):
                self.batch(owner, git.removesuffix(".git"), json.loads(self.body()))
            case "GET", owner, name, "resolve", revision, *path:
                self.resolve(self.existing(owner, name).state(revision), owner, name, "/".join(path))
            case "GET", "api", "models", owner, name:
                self.describe(owner, name, "main")
            case "GET", "api", "models", owner, name, "revision", revision:
                self.describe(owner, name, revision)
            case "GET", "api", "models", owner, name, "refs":
                self.refs(self.existing(owner, name).refs())
            case "GET", "api", "models", owner, name, "tree", revision, *folder:
                self.tree(self.existing(owner, name).state(revision), "/".join(folder))
            case "GET", "api", "models", owner, name, "commits", revision:
                found = self.existing(owner, name).history(revision)
                keys = ("id", "date", "title", "message")
                self.send_json([{"authors": [], **{key: one[key] for key in keys}} for one in found])
            case "POST", "api", "models", owner, name, "preupload", "main":
                self.preupload(self.existing(owner, name), json.loads(self.body()))
            case "POST", "api", "models", owner, name, "commit", "main":
                lines = [json.loads(line) for line in self.body().splitlines()]
                self.commit(self.existing(owner, name), owner, name, lines)
            case "POST", "api", "models", owner, name, "tag", revision:
                tag = json.loads(self.body())["tag"]
                with self.server.lock:
                    self.existing(owner, name).tag(tag, revision)
                self.send_json({})
            case "POST", "api", "models", owner, name, "verify":
                wanted = json.loads(self.body())
                blob = self.existing(owner, name).blob(wanted["oid"])
                if not blob.is_file() or blob.stat().st_size != wanted["size"]:
                    raise Refused(422, f"{wanted['oid']} did not arrive.")
                self.send_json({})
            case _:
                raise Refused(404, f"This small hub does not know {self.command} {self.path[:200]}.")

    def existing(self, owner: str, name: str) -> Repository:
        """A repository that is there; raises `Refused` if it is not."""
        found = self.server.repository(owner, name)
        if not found.exists():
            raise Refused(404, f"There is no repository {owner}/{name}.", "RepoNotFound")
        return found

    def create(self, asked: dict) -> None:
        """repos/create; without an owner it belongs to "me"."""
        owner, name = asked.get("organization") or "me", asked["name"]
        if asked.get("type") not in (None, "model"):
            raise Refused(400, "This small hub takes models only.")
        repository = self.server.repository(owner, name)
        with self.server.lock:
            there = repository.exists()
            if not there:
                repository.create()
        found = {"url": f"{self.server.address}/{owner}/{name}"}
        self.send_json(found | {"error": "It is there already."} if there else found, 409 if there else 200)

    def preupload(self, repository: Repository, asked: dict) -> None:
        """Which files go by themselves, and what each of them is now."""
        now, answer = repository.state("main")["files"], []
        for file in asked["files"]:
            path, size = checked(file["path"]), file["size"]
            large = size > LARGE or path.endswith(WEIGHTS)
            mode, oid = "lfs" if large else "regular", now.get(path, {}).get("oid")
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.send_json({"files": answer})

    def batch(self, owner: str, name: str, asked: dict) -> None:
        """For each large file: where to put it, unless it is here."""
        repository, answer = self.existing(owner, name), []
        for one in asked["objects"]:
            oid, size = one["oid"], int(one["size"])
            if size > LARGEST:
                raise Refused(413, f"A file has more than {LARGEST:,} bytes.")
            answer.append({"oid": oid, "size": size})
            if not repository.blob(oid).is_file():
                signature = self.server.signature(owner, name, oid, size)
                put = f"{self.server.address}/upload/{owner}/{name}/{oid}/{size}/{signature}"
                verify = f"{self.server.address}/api/models/{owner}/{name}/verify"
                answer[-1]["actions"] = {"upload": {"href": put}, "verify": {"href": verify}}
        self.send_json({"transfer": "basic", "objects": answer})

    def upload(self, owner: str, name: str, oid: str, size: int, signature: str) -> None:
        """A large file's content: kept only if it is what its sender said."""
        allowed = self.server.signature(owner, name, oid, size)
        if not hmac.compare_digest(signature.encode(), allowed.encode()):
            raise Refused(403, "This hub did not allow that upload.")
        if self.left != size:
            raise Refused(422, f"{size:,} bytes were declared, and {self.left:,} come.")
        repository = self.existing(owner, name)
        handle, partial = tempfile.mkstemp(dir=repository.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                found = self.copy(file)
            if found != oid:
                raise Refused(422, f"What came has the SHA-256 {found}, and {oid} was declared.")
            os.replace(partial, repository.blob(oid))
        finally:
            pathlib.Path(partial).unlink(missing_ok=True)
        self.send_json({})

    def commit(self, repository: Repository, owner: str, name: str, lines: list[dict]) -> None:
        """A commit's lines: a header, then what is added and deleted; all of it is done, or nothing."""
        with self.server.lock:
            head = repository.state("main")
            files, header = dict(head["files"]), {}
            for key, value in [(line["key"], line["value"]) for line in lines]:
                path = checked(value["path"].rstrip("/")) if key != "header" else ""
                if key == "header":
                    header = value
                elif key == "file":
                    files[path] = repository.add(base64.b64decode(value["content"], validate=True))
                elif key == "lfsFile":
                    blob = repository.blob(value["oid"])
                    if not blob.is_file():
                        raise Refused(422, f"The content of {path} is not here.")
                    size = blob.stat().st_size
                    files[path] = {"sha256": value["oid"], "size": size, "oid": value["oid"], "lfs": True}
                elif key in ("deletedFile", "deletedFolder"):
                    gone = [old for old in files if old == path or old.startswith(f"{path}/")]
                    files = {old: entry for old, entry in files.items() if old not in gone}
                else:
                    raise Refused(400, f"This small hub does not know {key!r} in a commit.")
            if header.get("parentCommit", head["id"]) != head["id"]:
                raise Refused(412, "The repository has changed since that parent commit.")
            title, message = str(header["summary"]), str(header.get("description", ""))
            made = repository.commit(title, message, files, head["id"])
        url = f"{self.server.address}/{owner}/{name}/commit/{made}"
        self.send_json({"success": True, "commitOid": made, "commitUrl": url})

    def describe(self, owner: str, name: str, revision: str) -> None:
        """What the repository is at a revision."""
        state = self.existing(owner, name).state(revision)
        files = [{"rfilename": path} for path in sorted(state["files"])]
        about = {"id": f"{owner}/{name}", "sha": state["id"], "private": False, "tags": [], "siblings": files}
        self.send_json({**about, "lastModified": state["date"]})

    def refs(self, refs: dict) -> None:
        """Branches (there is one) and tags."""
        tags = [
            {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": to} for tag, to in refs["tags"].items()
        ]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": refs["main"]}
        self.send_json({"branches": [main], "converts": [], "tags": tags})

    def tree(self, state: dict, folder: str) -> None:
        """The files of a revision, or of a folder in it, with all that lies deeper."""
        answer = []
        for path, entry in sorted(state["files"].items()):
            if not folder or path.startswith(f"{folder}/"):
                answer.append({"type": "file", "path": path, "size": entry["size"], "oid": entry["oid"]})
                if "lfs" in entry:
                    answer[-1]["lfs"] = {"oid": entry["oid"], "size": entry["size"], "pointerSize": 134}
        if folder and not answer:
            raise Refused(404, f"There is no folder {folder!r}.", "EntryNotFound")
        self.send_json(answer)

    def resolve(self, state: dict, owner: str, name: str, path: str) -> None:
        """A file of a revision, or for HEAD what it is."""
        if path not in state["files"]:
            self.refuse(404, f"There is no {path!r}.", "EntryNotFound", {"X-Repo-Commit": state["id"]})
            return
        entry = state["files"][path]
        with open(self.server.repository(owner, name).blob(entry["sha256"]), "rb") as file:
            self.start(200, entry["size"], {"ETag": f'"{entry["oid"]}"', "X-Repo-Commit": state["id"]})
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile)

    def body(self) -> bytes:
        """The request's body; raises `Refused` if it is too large."""
        if self.left > BODY:
            raise Refused(413, f"The request has more than {BODY:,} bytes.")
        length, self.left = self.left, 0
        return self.rfile.read(length)

    def copy(self, file: BinaryIO | None, most: int = LARGEST) -> str:
        """Move the body into a file, if one is given; its SHA-256."""
        digest = hashlib.sha256()
        while self.left and most > 0:
            part = self.rfile.read(min(self.left, 1_000_000))
            if not part:
                raise ConnectionError("the client left")
            self.left, most = self.left - len(part), most - len(part)
            digest.update(part)
            if file:
                file.write(part)
        return digest.hexdigest()

    def refuse(self, status: int, sentence: str, code: str = "", headers: dict | None = None) -> None:
        """Answer {"error": sentence}, also as the headers that `huggingface_hub` reads."""
        try:
            self.copy(None, DRAINED)
            told = {"X-Error-Message": sentence.encode("unicode_escape").decode()}
            self.send_json({"error": sentence}, status, {**(headers or {}), **told, "X-Error-Code": code})
        except OSError:
            pass  # the client did not stay for the answer

    def send_json(self, answer: dict | list, status: int = 200, headers: dict | None = None) -> None:
        """Answer with JSON."""
        content = json.dumps(answer).encode()
        self.start(status, len(content), {"Content-Type": "application/json", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(content)

    def start(self, status: int, length: int, headers: dict) -> None:
        """Send what comes before the content."""
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments) -> None:
        """Keep quiet."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl+C or SIGTERM; 0, or 2 with a sentence on stderr if it cannot begin."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.service.loopback_hub", description="A hub for this machine alone."
    )
    parser.add_argument("folder", help="where the repositories are kept")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    given = parser.parse_args(arguments)
    try:
        hub = Hub(given.folder, given.port)
    except (OSError, OverflowError) as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"hub on {hub.address}", flush=True)
        hub.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        hub.server_close()


if __name__ == "__main__":
    sys.exit(main())
