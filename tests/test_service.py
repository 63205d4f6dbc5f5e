"""The service, started for real on loopback: right answers under load, clear refusals, a graceful end."""

import asyncio
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import torch
from fastapi.testclient import TestClient
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from course_utils import checkpoints, data
from course_utils.errors import CourseError
from course_utils.service import __main__ as command
from course_utils.service.app import BODY, LONGEST, TEXTS, create_app
from course_utils.service.batching import Batcher, Full
from course_utils.service.predictor import Predictor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BERT with random weights, large enough for its answers to differ, and the real tokenizer."""
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        initializer_range=0.3,
        id2label={0: "negative", 1: "positive", 2: "neither"},
    )
    BertForSequenceClassification(config).save_pretrained(path)
    BertTokenizer.from_pretrained(os.path.dirname(checkpoints.embedded())).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def predictor(folder):
    return Predictor(folder)


@pytest.fixture(scope="module")
def texts():
    return data.rotten_tomatoes()["validation"]["text"][:300]


class Service:
    def __init__(self, folder, *options):
        line = [sys.executable, "-m", "course_utils.service", str(folder), "--port", "0", *options]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        assert first.startswith("serving on http://127.0.0.1:"), first + self.process.stderr.read()
        self.port = int(first.rsplit(":", 1)[1])

    def ask(self, path="/predict", body=None, method=None):
        """(status, answer) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method or ("GET" if body is None else "POST"), path, body, kind)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, error = self.process.communicate(timeout=60)
        return self.process.returncode, error


@pytest.fixture(scope="module")
def service(folder):
    running = Service(folder)
    yield running
    if running.process.poll() is None:
        running.stop()


def test_an_answer_is_what_the_model_says(service, predictor, texts):
    status, answer = service.ask(body={"texts": texts[:20]})
    assert status == 200
    assert [found["label"] for found in answer["predictions"]] == [
        found["label"] for found in predictor(texts[:20])
    ]
    assert len({found["label"] for found in answer["predictions"]}) > 1, "the model says different things"
    for text, found in zip(texts, answer["predictions"], strict=False):
        (alone,) = predictor([text])
        assert found["score"] == pytest.approx(alone["score"], abs=2e-4)
        assert found["truncated"] is False


def test_a_long_text_is_cut_and_the_answer_says_so(service):
    status, answer = service.ask(body={"texts": ["good " * 500, "good"]})
    assert status == 200
    assert [found["truncated"] for found in answer["predictions"]] == [True, False]


def test_health_and_version(service, folder):
    assert service.ask("/health") == (200, {"status": "ok", "waiting": 0})
    status, version = service.ask("/version")
    weights = (folder / "model.safetensors").read_bytes()
    assert status == 200 and version["sha256"] == hashlib.sha256(weights).hexdigest()
    assert version["labels"] == ["negative", "positive", "neither"] and version["engine"] == "torch"


LONE = b'{"texts": ["\\ud800 alone"]}'
REFUSED = {
    "no texts": (b"{}", 422, "texts: Field required"),
    "an empty list": (b'{"texts": []}', 422, "at least 1 item"),
    "an empty text": (b'{"texts": [""]}', 422, "text 0 is blank"),
    "a blank text": (b'{"texts": ["good", " \\n\\t"]}', 422, "text 1 is blank"),
    "too long a text": (b'{"texts": ["%s"]}' % (b"a" * (LONGEST + 1)), 422, "4,001 characters"),
    "too many texts": (b'{"texts": [%s]}' % b",".join([b'"a"'] * (TEXTS + 1)), 422, "at most 32 items"),
    "a number": (b'{"texts": [3]}', 422, "texts.0: Input should be a valid string"),
    "a text, not a list": (b'{"texts": "good"}', 422, "texts: Input should be a valid list"),
    "a list": (b'["good"]', 422, "valid dictionary"),
    "null": (b"null", 422, "valid dictionary"),
    "one field more": (b'{"texts": ["good"], "model": "x"}', 422, "model: Extra inputs"),
    "a lone surrogate": (LONE, 422, "text 0 is not Unicode: character 0 is half of a pair"),
    "a lone surrogate as a name": (b'{"texts": ["a"], "\\ud800": 1}', 422, "valid string"),
    "not UTF-8": (b'{"texts": ["\xff\xfe"]}', 400, "not JSON in UTF-8"),
    "not JSON": (b"texts=good", 400, "not JSON"),
    "empty": (b"", 422, "Field required"),
    "a hundred thousand brackets": (b"[" * 100_000, 400, "not JSON"),
    "10 MB": (b'{"texts": ["%s"]}' % (b"a" * 10_000_000), 413, "more than 1,000,000 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_taken_is_refused_with_a_sentence(service, name):
    body, expected, sentence = REFUSED[name]
    status, answer = service.ask(body=body)
    assert status == expected and list(answer) == ["error"]
    assert sentence in answer["error"]
    assert service.ask(body={"texts": ["good"]})[0] == 200, "and the service goes on"


def test_ten_megabytes_in_chunks_are_refused(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
    parts = (b"a" * 100_000 for _ in range(100))
    connection.request("POST", "/predict", parts, {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413 and "more than" in json.loads(answer.read())["error"]
    assert service.ask("/health")[0] == 200


@pytest.mark.parametrize(("path", "method", "expected"), [("/", "GET", 404), ("/predict", "GET", 405)])
def test_another_address_or_method(service, path, method, expected):
    status, answer = service.ask(path, method=method)
    assert status == expected and list(answer) == ["error"]


def test_a_client_that_leaves_half_way_disturbs_nobody(service):
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
    assert service.ask(body={"texts": ["good"]})[0] == 200


async def _load(port, texts, connections):
    """One answer for each text, asked for over `connections` connections at once."""
    answers = [None] * len(texts)

    async def client(mine):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for i in mine:
            body = json.dumps({"texts": [texts[i]]}).encode()
            head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answers[i] = (int(head.split()[1]), json.loads(await reader.readexactly(length)))
        writer.close()

    await asyncio.gather(*(client(range(k, len(texts), connections)) for k in range(connections)))
    return answers


def test_two_hundred_at_once_get_their_own_right_answers(service, predictor, texts):
    expected = [found["label"] for found in predictor(texts)]
    margin = [found["score"] for found in predictor(texts)]
    answers = asyncio.run(_load(service.port, texts * 2, connections=200))
    for i, (status, answer) in enumerate(answers):
        (found,) = answer["predictions"]
        assert status == 200
        assert found["label"] == expected[i % len(texts)] or margin[i % len(texts)] < 0.501
        assert found["score"] == pytest.approx(margin[i % len(texts)], abs=1e-3)


def test_its_threads_do_not_wait_in_a_busy_loop(folder, predictor, monkeypatch):
    """Else they take the processor from the server, and throughput falls to a third beside other work."""
    seen = []

    def stop(*arguments):
        seen.append(os.environ.get("GOMP_SPINCOUNT"))
        raise CourseError("far enough")

    monkeypatch.setattr(command, "Predictor", stop)
    for given, expected in ((None, "1000"), ("7", "7")):
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        if given:
            monkeypatch.setenv("GOMP_SPINCOUNT", given)
        assert command.main([str(folder)]) == 2
        assert seen[-1] == expected


def test_told_to_stop_it_answers_what_it_has_and_ends(folder, texts):
    running = Service(folder)
    answers = []
    askers = [
        threading.Thread(target=lambda: answers.append(running.ask(body={"texts": texts[:32]})))
        for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    while running.ask("/health")[1]["waiting"] == 0 and not answers:
        time.sleep(0.001)
    code, error = running.stop()
    for asker in askers:
        asker.join()
    assert code in (0, -signal.SIGTERM) and error == ""
    assert len(answers) == 8 and all(status == 200 for status, _ in answers)


# The parts by themselves.


class Slow:
    """Predicts the text itself, when it is allowed to."""

    engine, sha256, labels = "none", "", []

    def __init__(self):
        self.go, self.batches = threading.Event(), []

    def __call__(self, texts):
        self.go.wait(timeout=60)
        self.batches.append(list(texts))
        if "bad" in texts:
            raise RuntimeError("a text that the model cannot read")
        return texts


def test_what_comes_while_the_model_is_busy_becomes_the_next_batch():
    async def run():
        model = Slow()
        batcher = Batcher(model, most=4, waiting=100)
        batcher.start()
        asked = [asyncio.create_task(batcher.ask([f"text {i}"])) for i in range(9)]
        await asyncio.sleep(0.1)
        model.go.set()
        answers = await asyncio.gather(*asked)
        await batcher.stop()
        return model, batcher, answers

    model, batcher, answers = asyncio.run(run())
    assert answers == [[f"text {i}"] for i in range(9)]
    assert [text for batch in model.batches for text in batch] == [f"text {i}" for i in range(9)]
    assert max(map(len, model.batches)) == 4 and sum(n * k for n, k in batcher.sizes.items()) == 9


class Sleeper:
    """A model whose batches take a known time: it computes nothing, so a busy machine matters less."""

    engine, sha256, labels = "none", "", []

    def __init__(self):
        self.sizes = []

    def seconds(self, size):
        return 0.1 + 0.01 * size

    def __call__(self, texts):
        self.sizes.append(len(texts))
        time.sleep(self.seconds(len(texts)))
        return list(texts)


def test_under_load_the_model_is_busy_nearly_all_the_time_with_full_batches():
    """The batcher's part of the throughput: at least 80 % of a plain loop over the same batches."""

    async def run():
        model = Sleeper()
        batcher = Batcher(model, most=32)
        batcher.start()

        async def client():
            return [await batcher.ask([f"text {i}"]) for i in range(2)]

        begin = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(200)))
        took = time.perf_counter() - begin
        await batcher.stop()
        return model, took

    for last in (False, False, True):  # three tries: a machine with other work may oversleep
        model, took = asyncio.run(run())
        assert sum(model.sizes) == 400
        assert sum(size == 32 for size in model.sizes) >= 11 and len(model.sizes) <= 15
        plain = sum(map(model.seconds, model.sizes))
        if plain / took >= 0.8:
            break
        assert not last, f"{plain / took:.2f} of the plain loop"


def test_too_much_waiting_is_refused_and_a_failure_reaches_who_asked():
    async def run():
        model = Slow()
        batcher = Batcher(model, most=2, waiting=3)
        batcher.start()
        first = asyncio.create_task(batcher.ask(["one"]))
        await asyncio.sleep(0.05)  # the model has it
        more = [asyncio.create_task(batcher.ask(["bad", "two"])), asyncio.create_task(batcher.ask(["three"]))]
        await asyncio.sleep(0.05)
        with pytest.raises(Full):
            await batcher.ask(["four"])
        left = more.pop()
        left.cancel()  # a client that goes
        model.go.set()
        assert await first == ["one"]
        with pytest.raises(RuntimeError, match="cannot read"):
            await more[0]
        assert await batcher.ask(["five"]) == ["five"]
        await batcher.stop()
        with pytest.raises(Full):
            await batcher.ask(["six"])
        return model.batches

    assert asyncio.run(run()) == [["one"], ["bad", "two"], ["five"]]


def test_a_full_service_says_when_to_come_back():
    batcher = Batcher(Slow(), waiting=0)
    with TestClient(create_app(Slow(), batcher)) as client:
        answer = client.post("/predict", json={"texts": ["good"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "try again" in answer.json()["error"]


def test_a_model_that_fails_is_told_as_such_and_not_how():
    model = Slow()
    model.go.set()
    with TestClient(create_app(model, Batcher(model)), raise_server_exceptions=False) as client:
        answer = client.post("/predict", json={"texts": ["bad"]})
        assert client.get("/health").status_code == 200
    assert (answer.status_code, answer.json()) == (500, {"error": "The service failed at this request."})


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_file(folder, tmp_path, missing, capsys):
    for path in folder.iterdir():
        if path.name != missing:
            os.link(path, tmp_path / path.name)
    with pytest.raises(CourseError, match=f"{missing} is missing"):
        Predictor(tmp_path)
    assert command.main([str(tmp_path)]) == 2
    assert f"{missing} is missing" in capsys.readouterr().err


def test_an_engine_that_there_is_not(folder):
    with pytest.raises(CourseError, match="'torch' or 'onnx', and got 'jit'"):
        Predictor(folder, engine="jit")


def test_a_port_that_is_taken(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert command.main([str(folder), "--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err


def test_the_limit_is_below_what_is_drained():
    from course_utils.service.app import DRAINED

    assert 10_000_000 < DRAINED and BODY < DRAINED
