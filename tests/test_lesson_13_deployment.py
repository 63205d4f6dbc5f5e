"""Lesson 13 on fresh inputs: fingerprints, eight bits, percentiles, the batcher, and another file."""

import hashlib
import queue
import threading
import time
import types
from concurrent.futures import Future

import lessons
import nbformat
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from nbclient import NotebookClient
from onnx import TensorProto, helper

from course_utils.exercises import lesson_13_deployment as declared
from course_utils.service import app

LESSON = lessons.read(lessons.FOLDER / "13_deployment.ipynb")
NAMES = "fingerprint_of affine symmetric whole_numbers nearest_rank made_up".split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


@pytest.fixture(scope="module")
def joiner_class():
    """The lesson's micro-batcher: its two folded cells, and nothing that they only name."""
    namespace = {"queue": queue, "threading": threading, "Future": Future}
    titles = ("# @title The lesson's own micro-batcher", "# @title … and how it answers and ends")
    cells = [cell for cell in LESSON.code if cell.source.startswith(titles)]
    assert len(cells) == 2
    for cell in cells:
        exec(cell.source, namespace)
    return namespace["Joiner"]


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_lessons_fingerprint_is_that_of_the_exercise_and_of_every_byte(own, tmp_path):
    files = {"a.json": b"{}", "b.bin": bytes(range(256)), "C": b""}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert own.fingerprint_of(tmp_path) == declared.fingerprint(files)
    (tmp_path / "C").write_bytes(b"\0")
    assert own.fingerprint_of(tmp_path) != declared.fingerprint(files)


@pytest.mark.parametrize("seed", range(4))
def test_eight_bits_are_those_of_onnx_runtime(own, seed):
    """Its operator DynamicQuantizeLinear, run on the same numbers; a tie may round the other way."""
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])
    graph = helper.make_graph(
        [node],
        "eight bits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])],
        [
            helper.make_tensor_value_info("q", TensorProto.UINT8, [None, None]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("zero", TensorProto.UINT8, []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(
        onnx.ModelProto.SerializeToString(model), providers=["CPUExecutionProvider"]
    )
    x = 3 * drawn(seed, 20, 30) + seed - 2
    q, scale, zero = session.run(None, {"x": x.numpy()})
    for ours in (own.affine(x), declared.quantise(x)):
        assert ours[1] == pytest.approx(float(scale), rel=1e-5)
        assert abs(ours[2] - int(zero)) <= 1
        off = np.abs(ours[0].numpy().astype(int) - q.astype(int))
        assert off.max() <= 1 and (off > 0).mean() < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_no_number_is_off_by_more_than_half_a_step(own, seed):
    x = drawn(seed, 40, 50) * 10 ** (seed - 1)
    q, scale, zero = own.affine(x)
    assert q.dtype == torch.uint8
    # at the ends the zero point's own rounding comes on top
    assert (x - scale * (q.int() - zero)).abs().max() <= scale * 1.001
    for per_channel in (False, True):
        q, scales = own.symmetric(x, per_channel)
        assert ((x - q * scales[:, None]).abs() <= scales[:, None] * 0.501).all()
        assert len(set(scales.tolist())) == (40 if per_channel else 1)


def test_a_row_of_zeros_stays_zero(own):
    weight = torch.cat([torch.zeros(1, 5), drawn(0, 2, 5)])
    for per_channel in (False, True):
        q, scales = own.symmetric(weight, per_channel)
        assert (q[0] * scales[0]).abs().max() == 0 and scales.isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_the_integer_layer_is_the_float_layer_of_what_the_numbers_stand_for(own, seed):
    x, weight = drawn(seed, 7, 64), drawn(seed + 10, 9, 64)
    q, scale, zero = own.affine(x)
    w, scales = own.symmetric(weight, True)
    expected = (scale * (q.double() - zero)) @ (w.double() * scales.double()[:, None]).T
    for layer in (own.whole_numbers, declared.int_linear):
        torch.testing.assert_close(layer(q, scale, zero, w, scales).double(), expected, rtol=1e-5, atol=1e-5)
    assert (expected - x.double() @ weight.double().T).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("count", [1, 2, 20, 33, 100])
def test_percentiles_are_numpys_by_the_same_definition(own, count):
    times = drawn(count, count).exp().tolist()
    for p in (1, 7, 50, 90, 95, 99, 100):
        found = own.nearest_rank(times, p)
        assert found == declared.percentile(times, p) and found in times
        assert sum(time <= found for time in times) * 100 >= p * count
        assert sum(time < found for time in times) * 100 < p * count


def test_a_made_up_batch_has_its_shape_and_no_padding(own):
    batch = own.made_up(3, 17)
    assert {tuple(value.shape) for value in batch.values()} == {(3, 17)}
    assert batch["attention_mask"].all() and batch["input_ids"].min() > 103


def test_the_lessons_batcher_answers_each_and_joins_what_waits(joiner_class):
    gate, begun = threading.Event(), threading.Event()

    def predict(texts):
        begun.set()
        gate.wait(60)
        if "bad" in texts:
            raise ValueError("no")
        return [text.upper() for text in texts]

    joiner = joiner_class(predict, 4)
    futures = [joiner.ask("first")]
    assert begun.wait(60)
    futures += [joiner.ask(f"text {i}") for i in range(9)]
    bad = joiner.ask("bad")
    gate.set()
    joiner.close()
    assert futures[0].result(0) == "FIRST"
    assert [future.result(0) for future in futures[1:9]] == [f"TEXT {i}" for i in range(8)]
    assert isinstance(bad.exception(0), ValueError)
    assert joiner.sizes == [1, 4, 4, 2] and not joiner.thread.is_alive()


def test_the_exercises_status_agrees_with_the_real_service():
    """Of the bodies of the exercise whose limits are the service's own."""
    from fastapi.testclient import TestClient

    from course_utils.service.batching import Batcher

    class Model:
        engine, sha256, labels = "none", hashlib.sha256().hexdigest(), []

        def __call__(self, texts):
            return texts

    with TestClient(app.create_app(Model(), Batcher(Model()))) as client:
        for name, body in declared.BODIES.items():
            ours = declared.status_of(body, app.BODY, app.TEXTS)
            answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
            if name != "empty":  # fastapi says 422 to no body at all
                assert answer.status_code == ours, name


def test_a_patient_client_waits_no_longer_than_its_tries():
    begin, slept = time.monotonic(), []
    busy = declared.Script((503, "busy", None))
    assert declared.ask_patiently(busy, slept.append, 5) == (503, "busy")
    assert slept == [1, 2, 4, 8] and time.monotonic() - begin < 10


def test_a_file_of_ones_own_with_three_classes_goes_through(tmp_path):
    """200 rows, few calls; up to the service, which takes no texts of its own."""
    file = lessons.file_of_three_classes(tmp_path)
    notebook = nbformat.read(lessons.FOLDER / "13_deployment.ipynb", as_version=4)
    end = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## A service"))
    notebook.cells = [cell for cell in notebook.cells[:end] if not cell.source.startswith("check(")]
    changes = {
        "OWN_FILE = None": f"OWN_FILE = {str(file)!r}",
        '["train"][:400]': '["train"][:96]',
        "((1, 11), (8, 3))": "((1, 2), (8, 1))",
    }
    for old, new in changes.items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        assert cells, f"the lesson no longer says {old!r}"
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(map(lessons.printed, (cell for cell in notebook.cells if cell.cell_type == "code")))
    assert "to learn from" in text and "✓ ONNX: all logits as in inference mode, to 0.01" in text
    assert "beats guessing" not in text
