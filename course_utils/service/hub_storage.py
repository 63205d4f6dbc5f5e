"""What the hub of this machine keeps: repositories, their commits and tags, as folders of plain files.

A repository is a folder: `blobs/` holds contents, named by their SHA-256; `commits/` holds a record for each
commit, which lists all files of that state; `refs.json` says what "main" and the tags are. Nothing but
`refs.json` is ever overwritten, so every older revision can be had again. A client chooses the repository's
name, and no other name of a file here.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import tempfile

NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,95}")  # of an owner, a repository, a tag
SHA1, SHA256 = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{64}")
LONGEST = 500  # characters of a path


class Refused(Exception):
    """What is not done: the status and the sentence to answer, and the hub's word for what is missing."""

    def __init__(self, status: int, sentence: str, code: str = ""):
        super().__init__(sentence)
        self.status, self.code = status, code


class Repository:
    """One repository's contents, commits and tags, in `folder`."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def create(self) -> None:
        """Make it, with a first commit that holds no file."""
        for part in ("blobs", "commits"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.commit("initial commit", "", {}, None)

    def refs(self) -> dict:
        """What "main" is, and the "tags"."""
        file = self.folder / "refs.json"
        return json.loads(file.read_bytes()) if file.is_file() else {"main": "", "tags": {}}

    def exists(self) -> bool:
        """Whether it has been made."""
        return bool(self.refs()["main"])

    def state(self, revision: str) -> dict:
        """The commit that a hash, a tag or "main" names; raises `Refused` if there is none."""
        refs = self.refs()
        commit = refs["main"] if revision == "main" else refs["tags"].get(revision, revision)
        record = self.folder / "commits" / f"{commit}.json"
        if not (SHA1.fullmatch(commit) and record.is_file()):
            raise Refused(404, f"There is no revision {revision!r}.", "RevisionNotFound")
        return {"id": commit, **json.loads(record.read_bytes())}

    def history(self, revision: str) -> list[dict]:
        """The commits that led to a revision, the newest first; raises `Refused` if there is no such one."""
        found = [self.state(revision)]
        while found[-1]["parent"]:
            found.append(self.state(found[-1]["parent"]))
        return found

    def commit(self, title: str, message: str, files: dict, parent: str | None) -> str:
        """Record a state, make it "main", and give its hash."""
        date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        record = {"parent": parent, "title": title, "message": message, "date": date, "files": files}
        content = json.dumps(record, sort_keys=True).encode()
        commit = hashlib.sha1(content).hexdigest()
        self.write(self.folder / "commits" / f"{commit}.json", content)
        self.write(self.folder / "refs.json", json.dumps({**self.refs(), "main": commit}).encode())
        return commit

    def tag(self, name: str, revision: str) -> None:
        """Give a revision a name; raises `Refused` if the name is taken, or there is no such revision."""
        refs = self.refs()
        if not NAME.fullmatch(name) or name == "main" or SHA1.fullmatch(name):
            raise Refused(400, f"{name!r} cannot be a tag.")
        if name in refs["tags"]:
            raise Refused(409, f"The tag {name!r} is there already.")
        refs["tags"][name] = self.state(revision)["id"]
        self.write(self.folder / "refs.json", json.dumps(refs).encode())

    def blob(self, sha256: str) -> pathlib.Path:
        """Where a content is, or would be; raises `Refused` if `sha256` is none."""
        if not SHA256.fullmatch(sha256):
            raise Refused(422, f"{sha256!r} is no SHA-256.")
        return self.folder / "blobs" / sha256

    def add(self, content: bytes) -> dict:
        """Store a small content, and give its entry in a commit."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.write(self.blob(sha256), content)
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # what git would call it
        return {"sha256": sha256, "size": len(content), "oid": git}

    def write(self, path: pathlib.Path, content: bytes) -> None:
        """Write a file at once: whoever reads it finds all of it, or the one before."""
        handle, name = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)


def repository(root: pathlib.Path, owner: str, name: str) -> Repository:
    """A repository in `root`, which need not be there; raises `Refused` for a name that leads elsewhere."""
    folder = root / owner / name
    if not (NAME.fullmatch(owner) and NAME.fullmatch(name)) or folder.resolve() != folder:
        raise Refused(400, f"{owner + '/' + name!r} cannot be a repository's name.")
    return Repository(folder)


def checked(path: str) -> str:
    """A path inside a repository; raises `Refused` for one that could lead out of it, here or elsewhere."""
    bad = [part for part in path.split("/") if part in ("", ".", "..") or re.search(r"[\\:\x00-\x1f]", part)]
    if bad or len(path) > LONGEST:
        raise Refused(422, f"{path!r} cannot be a path in a repository.")
    return path
