"""A miniature of Hugging Face's hub on loopback: folders, served as the real one serves repositories.

It knows the calls that `huggingface_hub`, `transformers` and `datasets` make to fetch a public repository,
and it can be told to refuse them, to damage a file, to be gone, or to be a Wi-Fi's log-in page.
"""

import functools
import hashlib
import http.server
import json
import pathlib
import re
import threading
import urllib.parse

COMMIT = "c0" * 20  # what "main" is; every other commit that is asked for has the same files


class MiniatureHub:
    """`with MiniatureHub({"models/course/tiny-bert": folder}) as hub:` serves until the block ends.

    `repositories` maps "models/<id>" or "datasets/<id>" to a folder. `hub.address` is what HF_ENDPOINT should
    be; `hub.requests` lists what was asked for, such as "HEAD /course/tiny-bert/resolve/main/config.json".
    """

    def __init__(self, repositories):
        self.repositories = {name: pathlib.Path(folder) for name, folder in repositories.items()}
        self.requests = []
        self.port = 0
        self.behave()

    def behave(self):
        """Answer everything properly (again)."""
        self.refused = {}
        self.damaged = {}
        self.page = False

    def refuse(self, status, path=""):
        """Answer `status` to every request whose path contains `path`."""
        self.refused[path] = status

    def damage(self, file, how):
        """Serve only the first half of every `file`.

        `how` is "broken off" (the connection ends there), "shortened" (GET announces fewer bytes than HEAD
        did) or "unnoticed" (both announce the half).
        """
        self.damaged[file] = how

    def be_a_page(self):
        """Answer everything with a web page, as the log-in of a Wi-Fi does."""
        self.page = True

    def start(self):
        """Listen on loopback: the first time on any free port, later on the same one again."""
        handler = functools.partial(_Handler, self)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        """Close the port: from now on a connection is refused."""
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, hub, *connection):
        self.hub = hub
        super().__init__(*connection)

    def do_GET(self):
        path = urllib.parse.unquote(self.path).partition("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        refused = [status for part, status in self.hub.refused.items() if part in path]
        if self.hub.page:
            page = b"<html><body>Welcome to the Wi-Fi of this train</body></html>"
            self.send(200, page, {"Content-Type": "text/html; charset=utf-8"})
        elif refused:
            # The real hub's 429 says how long to wait; the libraries would.
            self.send(refused[0], headers={"RateLimit": '"api";r=0;t=300'} if refused[0] == 429 else {})
        elif path == "/":
            self.send(200)
        else:
            self.send_repository(path.removeprefix("/api").removeprefix("/"))

    do_HEAD = do_POST = do_GET

    def send_repository(self, path):
        """Answer about "[models/]<owner>/<name>[/<action>/<revision>[/<file or folder>]]"."""
        if path.split("/")[0] not in ("models", "datasets"):
            path = f"models/{path}"
        kind, owner, name, action, revision, file = (*path.split("/", 5), *[""] * 5)[:6]
        folder = self.hub.repositories.get(f"{kind}/{owner}/{name}")
        if folder is None:
            return self.send(404, headers={"X-Error-Code": "RepoNotFound"})
        commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else COMMIT
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
        if action == "resolve":
            if file not in files:
                return self.send(404, headers=missing)
            return self.send_file(folder / file, commit)
        if action == "tree":
            found = [path for path in files if path.startswith(file)]
            if not found:
                return self.send(404, headers=missing)
            return self.send_json([self.describe(folder, path) for path in found])
        if action == "paths-info":
            asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            return self.send_json([self.describe(folder, path) for path in files if path in asked["paths"]])
        siblings = [{"rfilename": path} for path in files]
        return self.send_json(
            {"id": f"{owner}/{name}", "sha": commit, "private": False, "siblings": siblings}
        )

    def describe(self, folder, file):
        """A file's entry in the answers to "tree" and "paths-info"."""
        size, etag = len(self.content(folder / file)), self.etag(folder / file)
        entry = {"type": "file", "path": file, "size": size, "oid": etag[:40]}
        if len(etag) == 64:
            entry["lfs"] = {"oid": etag, "size": size, "pointerSize": 134}
        return entry

    def etag(self, path):
        """Of the undamaged file: its SHA-256 if it is a large one, else 40 digits, as on the real hub."""
        large = path.suffix in (".safetensors", ".bin", ".parquet")
        return (hashlib.sha256 if large else hashlib.sha1)(path.read_bytes()).hexdigest()

    def content(self, path):
        """The bytes that the hub claims the file to have."""
        content = path.read_bytes()
        how = self.hub.damaged.get(path.name)
        if how == "unnoticed" or (how == "shortened" and self.command == "GET"):
            content = content[: len(content) // 2]
        return content

    def send_file(self, path, commit):
        content = self.content(path)
        broken_off = self.hub.damaged.get(path.name) == "broken off"
        sent = content[: len(content) // 2] if broken_off else content
        self.send(200, sent, {"ETag": f'"{self.etag(path)}"', "X-Repo-Commit": commit}, len(content))

    def send_json(self, answer):
        self.send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def send(self, status, content=b"{}", headers=None, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments):
        """Keep quiet."""
