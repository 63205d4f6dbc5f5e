"""Checkpoints and data from a miniature hub: what is fetched, and how each way to fail is explained.

The libraries read HF_ENDPOINT and its like once, when they are imported. So each of the scenarios below
runs in a Python of its own (this file, called with the scenario's name), which prints what it found as JSON.
"""

import contextlib
import dataclasses
import errno
import http.server
import io
import json
import os
import pathlib
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest
from miniature_hub import COMMIT, MiniatureHub

from course_utils.errors import CourseError

TINY = "course/tiny-bert"
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the a film movie plot is was not very good bad warm dull . ,".split()
SENTENCE = "the film is warm"


# The scenarios: each gives a dictionary of findings.


def models(folder):
    """Everything that a checkpoint from the hub can meet."""
    from course_utils import checkpoints, environment, hub, setup

    names = {TINY: "tiny", "course/other-bert": "tiny", "course/pickled": "pickled", checkpoints.HUB: "tiny"}
    names["course/in-parts"] = "parts"
    repositories = {f"models/{name}": folder / which for name, which in names.items()}
    with MiniatureHub(repositories) as server, quiet():
        os.environ["HF_ENDPOINT"] = server.address
        setup()
        import torch
        from transformers import BertForSequenceClassification, BertTokenizer

        def logits_shape(source):
            tokenizer = BertTokenizer.from_pretrained(source)
            model = BertForSequenceClassification.from_pretrained(source)
            with torch.no_grad():
                return list(model(**tokenizer([SENTENCE, "a dull plot ."], return_tensors="pt")).logits.shape)

        def choose(name):
            return attempt(checkpoints.choose, name)

        found = {"reachable": hub.reachable()}
        for status in (404, 429, 500):
            server.refuse(status)
            found[str(status)] = choose(TINY)
            found[f"pinned, {status}"] = choose(checkpoints.HUB)
            server.behave()
        server.stop()
        found["unreachable"] = choose(TINY)
        found["pinned, unreachable"] = choose(checkpoints.HUB)
        server.start()
        for how in ("broken off", "shortened", "unnoticed"):
            server.damage("model.safetensors", how)
            found[how] = choose(TINY)
            server.behave()

        # Only now is there nothing wrong.
        server.requests.clear()
        found["good"] = choose(TINY)
        assert "value" in found["good"], found["good"]
        found["good, requests"] = list(server.requests)
        found["files"] = sorted(os.listdir(found["good"]["value"]))
        server.stop()
        found["cached"] = choose(TINY)
        found["logits of the folder, unreachable"] = logits_shape(found["good"]["value"])
        server.start()
        server.refuse(429)
        found["cached, 429"] = choose(TINY)
        server.behave()
        server.be_a_page()
        found["cached, log-in page"] = choose(TINY)
        found["log-in page"] = choose("course/other-bert")
        found["pinned, log-in page"] = choose(checkpoints.HUB)
        server.behave()
        found["a part is missing"] = choose("course/in-parts")

        # from_pretrained by itself; afterwards the model is in the cache, but not all of the tokenizer.
        found["logits of the id"] = logits_shape(TINY)
        BertForSequenceClassification.from_pretrained("course/other-bert")
        server.stop()
        found["cached in part"] = choose("course/other-bert")
        server.start()

        server.requests.clear()
        found["pickled"] = choose("course/pickled")
        found["pickled, requests"] = list(server.requests)

        # The hub's BERT has a pinned commit and SHA-256, which the tiny one does not match ...
        found["pinned, other weights"] = choose(checkpoints.HUB)
        # ... unless it is the expected one.
        checkpoints.HUB_SHA256 = checkpoints.file_sha256(folder / "tiny" / "model.safetensors")
        environment.device = lambda: torch.device("cuda")
        server.requests.clear()
        found["pinned, on a GPU"] = choose(None)
        found["pinned, requests"] = list(server.requests)
        found["not there"] = choose("course/no-such-bert")
        found["no id"] = choose("course/tiny/bert")
    return found


def datasets(folder):
    """Everything that a data set from the hub can meet."""
    from course_utils import data, setup

    ledger = data.LEDGER["rotten_tomatoes"]
    repositories = {ledger.hub: "reviews", "course/two-splits": "two_splits", "course/empty": "empty"}
    repositories = {f"datasets/{name}": folder / which for name, which in repositories.items()}
    with MiniatureHub(repositories) as server, quiet():
        os.environ["HF_ENDPOINT"] = server.address
        setup()
        import datasets

        def reviews(**options):
            found = attempt(data.rotten_tomatoes, source="hub", **options)
            if "value" in found:
                found["value"] = {name: rows.to_dict() for name, rows in found["value"].items()}
            return found

        found = {}
        for status in (404, 429, 500):
            server.refuse(status)
            found[str(status)] = reviews()
            server.behave()
        server.refuse(429, "train.parquet")
        found["429 for a file"] = reviews()
        server.behave()
        server.be_a_page()
        found["log-in page"] = reviews()
        server.behave()
        server.stop()
        found["unreachable"] = reviews()
        server.start()
        for how in ("shortened", "unnoticed"):  # "broken off" takes the library 5 seconds
            server.damage("train.parquet", how)
            found[how] = reviews()
            server.behave()
        server.requests.clear()
        found["good"] = reviews()
        found["good, requests"] = list(server.requests)
        found["good, with test"] = reviews(with_test=True)
        direct = datasets.load_dataset(ledger.hub, revision=ledger.revision)
        found["load_dataset"] = direct.num_rows
        server.stop()
        found["cached"] = reviews()
        server.start()
        for name in ("course/two-splits", "course/empty", "course/no-such-reviews"):
            data.LEDGER["rotten_tomatoes"] = dataclasses.replace(ledger, hub=name)
            found[name] = reviews()
    return found


def offline(folder):
    """HF_HUB_OFFLINE is set and the cache is empty, though the hub would answer."""
    from course_utils import checkpoints, data, hub

    with MiniatureHub({f"models/{TINY}": folder / "tiny"}) as server, quiet():
        os.environ["HF_ENDPOINT"] = server.address
        found = {
            "reachable": hub.reachable(),
            "model": attempt(checkpoints.choose, TINY),
            "data": attempt(data.rotten_tomatoes, source="hub"),
        }
        found["requests"] = server.requests
    return found


def storing(folder):
    """The disk is full (no file may have more than 1,000 bytes), or the caches' places are taken by files."""
    import resource
    import signal

    from course_utils import checkpoints, data, hub, setup

    ledger = data.LEDGER["rotten_tomatoes"]
    repositories = {f"models/{TINY}": folder / "tiny", f"datasets/{ledger.hub}": folder / "reviews"}
    home = pathlib.Path(os.environ["HF_HOME"])
    with MiniatureHub(repositories) as server, quiet():
        os.environ["HF_ENDPOINT"] = server.address
        setup()
        import datasets  # noqa: F401  (before the disk is full)

        def all_of_it(what):
            found[f"{what}, model"] = attempt(checkpoints.choose, TINY)
            found[f"{what}, data"] = attempt(data.rotten_tomatoes, source="hub")
            found[f"{what}, unwritable"] = hub.unwritable()

        found = {"good, unwritable": hub.unwritable()}
        found["left"] = os.listdir(home)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        all_of_it("full")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for cache in ("hub", "datasets"):
            shutil.rmtree(home / cache, ignore_errors=True)
            (home / cache).touch()
        all_of_it("taken")
    return found


def attempt(call, *arguments, **options):
    """What a call gives ("value"), or how it fails ("error", "message", "traceback"); how long it took."""
    printed = io.StringIO()
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(printed):
            found = {"value": call(*arguments, **options)}
    except Exception as error:
        found = {"error": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
    return {**found, "seconds": time.perf_counter() - start, "printed": printed.getvalue()}


def quiet():
    """Keep standard output for the findings."""
    return contextlib.redirect_stdout(sys.stderr)


# What they are run with.


class Trap:
    """An object whose pickle, once read, makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Repositories for the miniature hub: a tiny BERT, one with a pickle in place of weights, reviews."""
    import pandas
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    folder = tmp_path_factory.mktemp("repositories")
    for name in ("tiny", "pickled", "parts", "reviews", "two_splits", "empty"):
        (folder / name).mkdir()
    (folder / "tiny" / "vocab.txt").write_text("\n".join(WORDS), encoding="utf8")
    BertTokenizer.from_pretrained(folder / "tiny").save_pretrained(folder / "tiny")
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(WORDS), **size)
    BertForSequenceClassification(config).save_pretrained(folder / "tiny")
    for name in ("tiny", "pickled"):
        (folder / name / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(folder / "a pickle was read")))
    for file in ("config.json", "vocab.txt"):
        (folder / "pickled" / file).write_bytes((folder / "tiny" / file).read_bytes())
    for file in ("config.json", "vocab.txt", "model.safetensors"):
        name = file.replace("model.", "model-00001-of-00002.")
        (folder / "parts" / name).write_bytes((folder / "tiny" / file).read_bytes())
    parts = {"weight_map": {str(i): f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}}
    (folder / "parts" / "model.safetensors.index.json").write_text(json.dumps(parts), encoding="utf8")
    for split, rows in {"train": 6, "validation": 4, "test": 4}.items():
        texts = [f"{split} sentence {row} ." for row in range(rows)]
        table = pandas.DataFrame({"text": texts, "label": [row % 2 for row in range(rows)]})
        table.to_parquet(folder / "reviews" / f"{split}.parquet")
        if split != "test":
            table.to_parquet(folder / "two_splits" / f"{split}.parquet")
    (folder / "empty" / "README.md").write_text("# Nothing", encoding="utf8")
    return folder


def run(scenario, folder, home, **variables):
    """The findings of a scenario, run in a Python of its own with an empty cache."""
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, __file__, scenario.__name__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf8",
        timeout=400,  # a machine that has other work to do needs long
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def with_models(folder, tmp_path_factory):
    return run(models, folder, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def with_datasets(folder, tmp_path_factory):
    return run(datasets, folder, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def with_offline(folder, tmp_path_factory):
    return run(offline, folder, tmp_path_factory.mktemp("home"), HF_HUB_OFFLINE="1")


@pytest.fixture(scope="module")
def with_storing(folder, tmp_path_factory):
    if os.name == "nt":
        pytest.skip("Windows has no limit for the size of files")
    return run(storing, folder, tmp_path_factory.mktemp("home"))


def assert_explained(found, *parts, seconds=10):
    """Assert that there was one `CourseError`, soon, with these parts in its message, and nothing printed."""
    assert found.get("error") == "CourseError", found
    for part in parts:
        assert part in found["message"]
    assert found["traceback"].count("Traceback (most recent call last)") == 1
    assert found["printed"] == ""
    assert found["seconds"] < seconds


EMBEDDED = 'type  checkpoints.choose("embedded")'
PACKAGE = "type  data.rotten_tomatoes()"


# Checkpoints.


@pytest.mark.parametrize(
    ("situation", "parts"),
    [
        ("404", [f"no public {TINY}", "answered 404", "type it whole"]),
        ("429", [f"answered 429 (too many requests) for {TINY}", "Wait five minutes", "type  hf auth login"]),
        ("500", [f"answered 500 for {TINY}", "Run the cell again"]),
        ("pinned, 404", ["no public google-bert/bert-base-uncased"]),
        ("pinned, 429", ["answered 429 (too many requests) for google-bert/bert-base-uncased"]),
        ("pinned, 500", ["answered 500 for google-bert/bert-base-uncased"]),
        ("unreachable", ["does not answer at http://127.0.0.1", TINY, "type  python -m course_utils doctor"]),
        ("pinned, unreachable", ["does not answer at http://127.0.0.1", "google-bert/bert-base-uncased"]),
        ("broken off", [f"download of {TINY} broke off", "Run the cell again"]),
        ("shortened", [f"download of {TINY} broke off", "Run the cell again"]),
        ("unnoticed", [f"model.safetensors of {TINY} are damaged", "deleted", "run the cell again"]),
        (
            "log-in page",
            ["answered with a web page of its own", "Log in with a browser", "course/other-bert"],
        ),
        ("pinned, log-in page", ["answered with a web page", "google-bert/bert-base-uncased is not in this"]),
        ("a part is missing", ["course/in-parts lacks model-00002-of-00002.safetensors, a part of its"]),
        ("cached in part", ["course/other-bert", "config.json or its tokenizer"]),
        ("pickled", ["course/pickled has no weights in safetensors"]),
        ("pinned, other weights", ["google-bert/bert-base-uncased are damaged", "run the cell again"]),
        ("not there", ["no public course/no-such-bert", "type it whole"]),
        ("no id", ["'course/tiny/bert' is neither a folder nor a hub id"]),
    ],
)
def test_a_checkpoint_that_cannot_be_had_is_one_clear_error(with_models, situation, parts):
    assert_explained(with_models[situation], *parts, EMBEDDED)


def test_after_every_failure_a_good_call_fetches_the_whole_checkpoint(with_models):
    found = with_models["good"]
    assert with_models["reachable"] is True
    assert found["printed"] == f"Checkpoint: {TINY} (you asked for it)\n"
    assert found["value"].endswith(COMMIT)
    expected = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert with_models["files"] == expected
    # What was damaged is fetched anew, not taken from what the failures left behind.
    assert f"GET /{TINY}/resolve/{COMMIT}/model.safetensors" in with_models["good, requests"]


def test_a_fetched_checkpoint_needs_no_hub(with_models):
    for situation in ("cached", "cached, 429", "cached, log-in page"):
        assert with_models[situation]["value"] == with_models["good"]["value"]
        assert with_models[situation]["seconds"] < 10


def test_from_pretrained_loads_the_fetched_folder_and_the_hubs_id_alike(with_models):
    assert with_models["logits of the folder, unreachable"] == [2, 2]
    assert with_models["logits of the id"] == [2, 2]


def test_no_pickle_is_fetched_or_read(with_models, folder):
    assert with_models["pickled, requests"]
    requests = with_models["good, requests"] + with_models["pickled, requests"]
    assert not [request for request in requests if request.endswith(".bin")]
    assert not (folder / "a pickle was read").exists()
    # The trap works: reading that pickle makes the file.
    pickle.loads((folder / "tiny" / "pytorch_model.bin").read_bytes()).close()
    (folder / "a pickle was read").unlink()


def test_with_a_gpu_the_hubs_bert_comes_from_its_pinned_commit(with_models):
    from course_utils.checkpoints import HUB, HUB_REVISION

    found = with_models["pinned, on a GPU"]
    assert found["printed"] == f"Checkpoint: {HUB} (there is a GPU, and the hub answers)\n"
    assert found["value"].endswith(HUB_REVISION)
    assert f"GET /{HUB}/resolve/{HUB_REVISION}/model.safetensors" in with_models["pinned, requests"]


# Data sets.


@pytest.mark.parametrize(
    ("situation", "parts"),
    [
        ("404", ["no public cornell-movie-review-data/rotten_tomatoes", "answered 404"]),
        ("429", ["answered 429 (too many requests)", "Wait five minutes", "type  hf auth login"]),
        ("429 for a file", ["answered 429 (too many requests)"]),
        ("500", ["answered 500 for cornell-movie-review-data/rotten_tomatoes", "Run the cell again"]),
        ("unreachable", ["does not answer at http://127.0.0.1", "type  python -m course_utils doctor"]),
        (
            "log-in page",
            ["answered with a web page of its own", "Log in with a browser", "rotten_tomatoes is"],
        ),
        ("shortened", ["cornell-movie-review-data/rotten_tomatoes broke off", "Run the cell again"]),
        ("unnoticed", ["cornell-movie-review-data/rotten_tomatoes is damaged", "Run the cell again"]),
        ("course/two-splits", ["course/two-splits has other splits or columns"]),
        ("course/empty", ["course/empty has no files that can be loaded"]),
        ("course/no-such-reviews", ["no public course/no-such-reviews"]),
    ],
)
def test_data_that_cannot_be_had_is_one_clear_error(with_datasets, situation, parts):
    assert_explained(with_datasets[situation], *parts, PACKAGE)


def test_after_every_failure_a_good_call_loads_the_data(with_datasets):
    found = with_datasets["good"]
    assert found["printed"] == "Rotten Tomatoes sentences from the hub: 6 train, 4 validation\n"
    assert list(found["value"]) == ["train", "validation"]
    assert found["value"]["train"]["label"] == [0, 1, 0, 1, 0, 1]
    assert found["value"]["validation"]["text"][3] == "validation sentence 3 ."
    assert with_datasets["good, with test"]["value"]["test"]["text"][0] == "test sentence 0 ."
    assert with_datasets["load_dataset"] == {"train": 6, "validation": 4, "test": 4}
    assert with_datasets["cached"]["value"] == found["value"]


def test_the_data_comes_from_the_ledgers_commit(with_datasets):
    from course_utils.data import LEDGER

    ledger = LEDGER["rotten_tomatoes"]
    files = [request for request in with_datasets["good, requests"] if request.endswith(".parquet")]
    assert files
    assert all(f"/datasets/{ledger.hub}/resolve/{ledger.revision}/" in request for request in files)


# HF_HUB_OFFLINE, and whether the hub answers.


def test_offline_with_an_empty_cache_is_one_clear_error_and_asks_nothing(with_offline):
    parts = "HF_HUB_OFFLINE is set", "not in this machine's cache", "Unset it"
    assert_explained(with_offline["model"], TINY, *parts, EMBEDDED)
    assert_explained(with_offline["data"], *parts, PACKAGE)
    assert with_offline["requests"] == []
    assert with_offline["reachable"] is False


@pytest.mark.parametrize("what", ["full", "taken"])
def test_a_cache_that_cannot_be_written_is_one_clear_error(with_storing, what):
    parts = "What comes from the hub cannot be stored in", "home", "Free some disk space", "variable HF_HOME"
    assert_explained(with_storing[f"{what}, model"], *parts, EMBEDDED)
    assert_explained(with_storing[f"{what}, data"], *parts, PACKAGE)
    for part in parts:
        assert part in with_storing[f"{what}, unwritable"]


def test_a_cache_that_can_be_written_is_left_as_it_was(with_storing):
    assert with_storing["good, unwritable"] == ""
    assert with_storing["left"] == []


@pytest.fixture
def online(monkeypatch):
    """A function that makes an address the hub's, in this process, for one test."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return lambda address: monkeypatch.setattr(constants, "ENDPOINT", address)


def test_the_hub_is_reachable_if_it_answers_whatever_it_answers(online):
    from course_utils import hub

    with MiniatureHub({}) as server:
        online(server.address)
        assert hub.reachable()
        server.refuse(500)
        assert hub.reachable()
        assert server.requests == ["HEAD /", "HEAD /"]


def test_the_hub_is_not_reachable_at_a_closed_port_or_a_wrong_address(online):
    from course_utils import hub

    with MiniatureHub({}) as server:
        online(server.address)
    assert not hub.reachable()
    online("huggingface.co")  # no https://
    assert not hub.reachable()


def test_what_does_not_speak_http_is_not_the_hub(online):
    from course_utils import hub

    class Gibberish(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.wfile.write(b"220 mail.example.org ESMTP\r\n")

    with http.server.HTTPServer(("127.0.0.1", 0), Gibberish) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        online(f"http://127.0.0.1:{server.server_port}")
        assert not hub.reachable()


SILENT = """
import socket, sys, time
from course_utils import hub
if sys.argv[1] == "DNS":
    socket.getaddrinfo = lambda *arguments, **options: time.sleep(300)
start = time.monotonic()
print(hub.reachable(0.5), time.monotonic() - start < 30)
"""


@pytest.mark.parametrize("what", ["DNS", "dripping server"])
def test_what_answers_too_slowly_holds_neither_the_question_nor_pythons_end(what):
    """Without a limit for the whole, each would take minutes."""

    def drip(server):
        client, _ = server.accept()
        with contextlib.suppress(OSError):
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                client.sendall(b".")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", SILENT, what],
            env={**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address},
            capture_output=True,
            text=True,
            timeout=60,
        )
        socket.create_connection(server.getsockname()).close()  # lets `drip` end if nobody came
    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_offline_the_hub_is_not_asked(online, monkeypatch):
    from huggingface_hub import constants

    from course_utils import hub

    with MiniatureHub({}) as server:
        online(server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert not hub.reachable()
        assert server.requests == []


# What has nothing to do with the hub.


def test_other_errors_pass_through_and_the_libraries_session_is_left_as_it_was():
    from huggingface_hub import get_session

    from course_utils import hub

    before = get_session().event_hooks
    with pytest.raises(ZeroDivisionError), hub.explained(TINY, "models"):
        assert get_session().event_hooks != before
        1 / 0  # noqa: B018
    assert get_session().event_hooks == before


@pytest.mark.parametrize(
    "address",
    ["/api/models/course/another", f"/{TINY}/resolve/main/added_tokens.json"],
    ids=["other", "file"],
)
def test_a_404_of_something_else_does_not_explain_another_error(online, folder, address):
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status

    from course_utils import hub

    with MiniatureHub({f"models/{TINY}": folder / "tiny"}) as server:
        online(server.address)
        with pytest.raises(OSError, match="out of order"), hub.explained(TINY, "models"):
            response = get_session().get(server.address + address)
            assert response.status_code == 404
            raise OSError(errno.EIO, "The disk is out of order")
        with pytest.raises(CourseError, match="broke off"), hub.explained(TINY, "models"):
            try:
                hf_raise_for_status(response)
            except OSError:
                raise ValueError("Consistency check failed") from None


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system", "/mnt/cache/blob"),
        PermissionError(errno.EACCES, "Permission denied", "/mnt/cache/blob"),
        RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"),
    ],
    ids=["full", "read only", "not ours", "full, in hf_xet's words"],
)
def test_what_the_disk_says_is_explained_whatever_the_hub_said_before(online, folder, error):
    from huggingface_hub import get_session

    from course_utils import hub

    with MiniatureHub({}) as server:
        online(server.address)
        with pytest.raises(CourseError) as caught, hub.explained(TINY, "models"):
            get_session().get(f"{server.address}/api/models/{TINY}")  # 404
            try:
                raise error
            except Exception as cause:
                raise RuntimeError("An error occurred while generating the dataset") from cause
    assert "cannot be stored in" in str(caught.value) and "HF_HOME" in str(caught.value)


def test_a_socket_that_is_not_allowed_is_no_full_disk(online):
    from course_utils import hub

    with MiniatureHub({}) as server:
        online(server.address)
        with pytest.raises(PermissionError), hub.explained(TINY, "models"):
            raise PermissionError(errno.EPERM, "Operation not permitted")  # by a firewall: it names no file


if __name__ == "__main__":
    scenario = {"models": models, "datasets": datasets, "offline": offline, "storing": storing}[sys.argv[1]]
    findings = scenario(pathlib.Path(sys.argv[2]))
    print(json.dumps(findings))
