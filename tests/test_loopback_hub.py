"""The hub of this machine: a model is pushed and pulled, older revisions stay, bad requests are refused.

The libraries read HF_ENDPOINT and its like when they are imported, so pushing and pulling run in Pythons of
their own (this file, called with what to do).
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from course_utils.service import hub_storage, loopback_hub

ID = "course/critic"
SENTENCES = ["the film is warm", "a dull plot ."]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the a film movie plot is was not very good bad warm dull . ,".split()


def logits(model, tokenizer):
    """The bits of the answers to two sentences."""
    import torch

    with torch.inference_mode():
        found = model.eval()(**tokenizer(SENTENCES, padding=True, return_tensors="pt")).logits
    assert found.isfinite().all() and found.shape == (2, 2)
    return found.numpy().tobytes().hex()


def push(folder):
    """Push a model twice, with other weights, and the tokenizer, a folder and a tag between."""
    import torch
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    api, found = HfApi(), {}
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf8")
    tokenizer = BertTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForSequenceClassification(BertConfig(vocab_size=len(WORDS), **sizes))
    try:
        HfApi(token=False).create_repo(ID)
    except HfHubHTTPError as error:
        found["without a token"] = [error.response.status_code, str(error)]
    found["first"], found["of the first"] = model.push_to_hub(ID).oid, logits(model, tokenizer)
    found["with its tokenizer"] = tokenizer.push_to_hub(ID, commit_message="The tokenizer").oid
    api.create_tag(ID, tag="v1")
    with torch.no_grad():
        model.classifier.weight.mul_(-2)
    try:
        model.push_to_hub(ID, token=False)
    except HfHubHTTPError as error:
        found["push without a token"] = [error.response.status_code, str(error)]
    found["second"], found["of the second"] = model.push_to_hub(ID).oid, logits(model, tokenizer)
    (folder / "reports" / "deep").mkdir(parents=True)
    (folder / "reports" / "deep" / "scores.csv").write_text("f1\n0.8\n")
    (folder / "reports" / "empty.txt").write_text("")
    api.create_repo(ID, exist_ok=True)
    api.upload_folder(repo_id=ID, folder_path=folder / "reports", path_in_repo="reports")
    found["files"] = sorted(api.list_repo_files(ID))
    api.delete_file("reports/empty.txt", ID)
    found["after deleting"] = sorted(api.list_repo_files(ID))
    api.delete_folder("reports", ID)
    found["at v1"] = sorted(api.list_repo_files(ID, revision="v1"))
    found["commits"] = [[commit.commit_id, commit.title] for commit in api.list_repo_commits(ID)]
    found["commits of v1"] = [commit.commit_id for commit in api.list_repo_commits(ID, revision="v1")]
    found["tags"] = {tag.name: tag.target_commit for tag in api.list_repo_refs(ID).tags}
    found["now"] = api.model_info(ID).sha
    return found


def pull(folder):
    """The logits of main, and of the revisions named in a file."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = {}
    for revision in json.loads((folder / "revisions.json").read_text()):
        model = AutoModelForSequenceClassification.from_pretrained(ID, revision=revision)
        found[revision] = logits(model, AutoTokenizer.from_pretrained(ID, revision=revision))
    return found


class Running:
    """The hub in a process of its own."""

    def __init__(self, folder, *options):
        line = [sys.executable, "-m", "course_utils.service.loopback_hub", str(folder), *options]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        assert first.startswith("hub on http://127.0.0.1:"), first + self.process.stderr.read()
        self.address = first.split()[-1]
        self.port = int(first.rsplit(":", 1)[1])

    def ask(self, method, path, body=None, token="any", headers=()):
        """(status, answer) of one request; the path is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = dict(headers) | ({"Authorization": f"Bearer {token}"} if token else {})
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json" and found
        return answer.status, json.loads(found) if is_json else found

    def commit(self, *operations, name=ID, **header):
        lines = [{"key": "header", "value": {"summary": "a test", **header}}, *operations]
        body = b"\n".join(json.dumps(line).encode() for line in lines)
        return self.ask("POST", f"/api/models/{name}/commit/main", body)

    def announce(self, oid, size, name=ID):
        """(status, where to put it or the answer) for a large file."""
        body = {"objects": [{"oid": oid, "size": size}]}
        status, answer = self.ask("POST", f"/{name}.git/info/lfs/objects/batch", body)
        if status != 200:
            return status, answer
        actions = answer["objects"][0].get("actions")
        return status, actions and actions["upload"]["href"].removeprefix(self.address)

    def main(self, name=ID):
        """What "main" is."""
        status, answer = self.ask("GET", f"/api/models/{name}", token="")
        assert status == 200
        return answer["sha"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, error = self.process.communicate(timeout=60)
        return self.process.returncode, out + error


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(folder):
    running = Running(folder / "repositories")
    assert running.ask("POST", "/api/repos/create", {"name": "other", "organization": "course"})[0] == 200
    yield running
    assert running.process.poll() is None, "whatever was asked, the hub has stayed up"
    assert running.stop() == (0, "")


def child(what, hub, folder):
    """What this file finds when it is run by itself with a home of its own."""
    folder.mkdir()
    (folder / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.address, "HF_TOKEN": "any", "HF_HUB_OFFLINE": "0"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HOME": str(folder / "home")}
    if what is pull:
        (folder / "revisions.json").write_text(json.dumps(hub.revisions))
    done = subprocess.run(
        [sys.executable, __file__, what.__name__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf8",
        timeout=400,  # a machine that has other work to do needs long
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def pushed(hub, folder):
    return child(push, hub, folder / "push")


@pytest.fixture(scope="module")
def pulled(hub, folder, pushed):
    hub.revisions = ["main", pushed["second"], pushed["with its tokenizer"], "v1"]
    return child(pull, hub, folder / "pull")


def test_what_is_pulled_answers_as_what_was_pushed(pushed, pulled):
    assert pushed["of the first"] != pushed["of the second"]
    assert pulled["main"] == pulled[pushed["second"]] == pushed["of the second"]


def test_the_old_revision_can_be_had_again_by_its_hash_and_by_its_tag(pushed, pulled):
    assert pulled["v1"] == pulled[pushed["with its tokenizer"]] == pushed["of the first"]
    assert pushed["tags"] == {"v1": pushed["with its tokenizer"]}


def test_commits_are_listed_with_the_newest_first(pushed):
    ids, titles = zip(*pushed["commits"], strict=True)
    tokenizer, model = "The tokenizer", "Upload BertForSequenceClassification"
    assert titles[-4:] == (model, tokenizer, model, "initial commit")
    assert len(set(ids)) == len(ids) == 7 and pushed["now"] == ids[0]
    assert [pushed["second"], pushed["with its tokenizer"], pushed["first"]] == list(ids[-4:-1])
    assert pushed["commits of v1"] == list(ids[-3:])


def test_files_are_added_and_deleted_and_a_tag_keeps_its_own(pushed):
    kept = ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert set(pushed["at v1"]) >= set(kept) and not any("reports" in path for path in pushed["at v1"])
    reports = ["reports/deep/scores.csv", "reports/empty.txt"]
    assert pushed["files"] == sorted(pushed["at v1"] + reports)
    assert pushed["after deleting"] == sorted(pushed["at v1"] + reports[:1])


def test_without_a_token_nothing_is_written(pushed, hub):
    for what in ("without a token", "push without a token"):
        assert pushed[what][0] == 401 and "Writing needs a token" in pushed[what][1]
    for path in ("/api/repos/create", f"/api/models/{ID}/commit/main", f"/api/models/{ID}/tag/main"):
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic abc"}):
            status, answer = hub.ask("POST", path, b"{}", token="", headers=headers)
            assert status == 401 and "HF_TOKEN" in answer["error"]


def test_a_file_is_named_by_its_content_and_a_head_says_so(hub):
    content = b"some weights"
    oid = hashlib.sha256(content).hexdigest()
    status, put = hub.announce(oid, len(content), "course/other")
    assert hub.ask("PUT", put, content, token="")[0] == 200
    verify = {"oid": oid, "size": len(content)}
    assert hub.ask("POST", "/api/models/course/other/verify", verify)[0] == 200
    assert hub.announce(oid, len(content), "course/other") == (200, None), "it is here and not sent again"
    line = {"key": "lfsFile", "value": {"path": "deep/a.bin", "algo": "sha256", "oid": oid, "size": 12}}
    status, made = hub.commit(line, name="course/other")
    assert status == 200
    address = f"/course/other/resolve/{made['commitOid']}/deep/a.bin"
    assert hub.ask("GET", address, token="") == (200, content)
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    connection.request("HEAD", address)
    head = connection.getresponse()
    assert (head.headers["ETag"], head.headers["Content-Length"]) == (f'"{oid}"', "12")
    assert head.headers["X-Repo-Commit"] == made["commitOid"] and head.read() == b""


@pytest.mark.parametrize("what", ["other content", "fewer bytes", "another signature", "another repository"])
def test_an_upload_that_is_not_what_was_declared_is_refused(hub, what):
    content = what.encode()
    oid = hashlib.sha256(content).hexdigest()
    status, put = hub.announce(oid, len(content), "course/other")
    if what == "other content":
        expected, sentence, content = 422, "was declared", content[::-1]
    elif what == "fewer bytes":
        expected, sentence, content = 422, "bytes were declared", content[:-1]
    elif what == "another signature":
        expected, sentence, put = 403, "did not allow", put[:-64] + "0" * 64
    else:
        expected, sentence, put = 403, "did not allow", put.replace("course/other", "course/another")
    status, answer = hub.ask("PUT", put, content, token="")
    assert status == expected and sentence in answer["error"]
    before = hub.main("course/other")
    line = {"key": "lfsFile", "value": {"path": "a.bin", "oid": oid, "size": len(content)}}
    status, answer = hub.commit(line, name="course/other")
    assert status == 422 and "is not here" in answer["error"]
    assert hub.main("course/other") == before


OUTSIDE = ["../a", "/a", "a/../../b", "a//b", "a/./b", "..", "", "..\\a", "C:a", "a\0b", "a" * 501]


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_a_path_that_leads_out_of_the_repository_is_refused(hub, folder, path):
    before = hub.main("course/other")
    content = base64.b64encode(b"evil").decode()
    status, answer = hub.commit(
        {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}},
        name="course/other",
    )
    assert status == 422 and "cannot be a path" in answer["error"]
    files = {"files": [{"path": path, "size": 4, "sample": ""}]}
    assert hub.ask("POST", "/api/models/course/other/preupload/main", files)[0] == 422
    assert hub.main("course/other") == before


BAD_NAMES = [("..", "a"), ("a", ".."), ("", "a"), ("/tmp", "a"), ("a/b", "c"), (".git", "a"), ("a", "b..c")]
BAD_NAMES += [("a", "b\r\nX: y"), ("a", "b\\c"), ("a", "b" * 97), ("linked", "a")]


@pytest.mark.parametrize(("owner", "name"), BAD_NAMES)
def test_a_repository_whose_name_leads_elsewhere_is_refused(hub, folder, owner, name):
    if owner == "linked" and os.name == "nt":
        pytest.skip("Windows asks for rights to make a link")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    if owner == "linked":
        (folder / "repositories" / "linked").symlink_to(elsewhere)
    before = sorted(folder.iterdir())
    status, answer = hub.ask("POST", "/api/repos/create", {"name": name, "organization": owner or " "})
    assert status == 400 and "cannot be a repository's name" in answer["error"]
    assert sorted(folder.iterdir()) == before and not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    "path",
    [
        "/course/other/resolve/main/../../../../etc/passwd",
        "/course/other/resolve/main/%2e%2e/refs.json",
        "/course/other/resolve/..%2f..%2frefs/a",
        "/course/..%2fother/resolve/main/a",
        "/api/models/course/other/revision/%00",
        "/api/models/course/other/tree/main/no-such-folder",
        "/api/models/course/nobody",
        "/course/other/refs.json",
        "/api/whatever",
    ],
)
def test_what_is_not_there_is_refused(hub, path):
    status, answer = hub.ask("GET", path, token="")
    assert status in (400, 404) and list(answer) == ["error"]


ODD = {
    "no JSON": ("/api/repos/create", b"{", 400),
    "no name": ("/api/repos/create", b"{}", 400),
    "a number": ("/api/repos/create", b"3", 400),
    "brackets": ("/api/repos/create", b"[" * 100_000, 400),
    "not UTF-8": ("/api/repos/create", b"\xff\xfe", 400),
    "a data set": ("/api/repos/create", b'{"name": "a", "type": "dataset"}', 400),
    "there already": ("/api/repos/create", b'{"name": "other", "organization": "course"}', 409),
    "too large": ("/api/models/course/other/commit/main", b" " * (loopback_hub.BODY + 1), 413),
    "no header": (
        "/api/models/course/other/commit/main",
        b'{"key": "deletedFile", "value": {"path": "a"}}',
        400,
    ),
    "a branch": ("/api/models/course/other/commit/branch", b"{}", 404),
    "a tag named main": ("/api/models/course/other/tag/main", b'{"tag": "main"}', 400),
    "a tag out of the folder": ("/api/models/course/other/tag/main", b'{"tag": "../v1"}', 400),
    "a tag of nothing": ("/api/models/course/other/tag/v0", b'{"tag": "v1"}', 404),
    "a large file that is too large": (
        "/course/other.git/info/lfs/objects/batch",
        b'{"objects": [{"oid": "%s", "size": %d}]}' % (b"0" * 64, loopback_hub.LARGEST + 1),
        413,
    ),
    "no SHA-256": (
        "/course/other.git/info/lfs/objects/batch",
        b'{"objects": [{"oid": "..", "size": 1}]}',
        422,
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_requests_are_refused_with_a_sentence_and_change_nothing(hub, name):
    path, body, expected = ODD[name]
    before = hub.main("course/other")
    status, answer = hub.ask("POST", path, body)
    assert status == expected and answer["error"].endswith(".")
    assert hub.main("course/other") == before


def test_a_commit_on_an_old_parent_is_refused(hub):
    status, answer = hub.commit(name="course/other", parentCommit="0" * 40)
    assert status == 412 and "has changed" in answer["error"]


def test_no_length_or_a_client_that_leaves_disturbs_nobody(hub):
    for body in (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length: 1000\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", hub.port)) as client:
            client.sendall(b"POST /api/repos/create HTTP/1.1\r\nAuthorization: Bearer a\r\n" + body)
            client.shutdown(socket.SHUT_WR)
            assert b" 411 " in client.recv(1000) or b"1000" in body
    assert hub.ask("GET", "/", token="")[0] == 200


def test_what_was_pushed_is_there_after_a_restart_and_sigterm_ends_it_soon(tmp_path):
    first = Running(tmp_path)
    assert first.ask("POST", "/api/repos/create", {"name": "critic"})[0] == 200
    line = {"key": "file", "value": {"path": "a.txt", "content": base64.b64encode(b"kept").decode()}}
    status, made = first.commit(line, name="me/critic")
    assert status == 200
    start = time.monotonic()
    assert first.stop() == (0, "")
    assert time.monotonic() - start < 30
    second = Running(tmp_path, "--port", str(first.port))
    assert second.port == first.port and second.main("me/critic") == made["commitOid"]
    assert second.ask("GET", "/me/critic/resolve/main/a.txt", token="") == (200, b"kept")
    assert second.stop() == (0, "")


def test_a_port_that_is_taken_and_a_folder_that_cannot_be_made(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert loopback_hub.main([str(tmp_path), "--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert loopback_hub.main([str(tmp_path / "file" / "hub")]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_a_content_that_could_not_be_written_leaves_the_old_state(tmp_path, monkeypatch):
    repository = hub_storage.repository(tmp_path.resolve(), "course", "critic")
    repository.create()
    before = repository.refs()

    def broken(*arguments):
        raise OSError("The disk is full")

    monkeypatch.setattr(hub_storage.os, "replace", broken)
    with pytest.raises(OSError, match="full"):
        repository.commit("a title", "", {"a": repository.add(b"new")}, before["main"])
    assert repository.refs() == before and len(repository.history("main")) == 1


if __name__ == "__main__":
    scenario = {"push": push, "pull": pull}[sys.argv[1]]
    print(json.dumps(scenario(pathlib.Path(sys.argv[2]))))
