"""A classifier's ways to answer, for `tools/bench.py`: `bench_inference.py make|texts|WAY FOLDER`.

`make` writes to a folder, beside the model, what the other ways read; `texts` gives what to answer. A
way answers questions: {"batch", "length", "seconds"} for how long such batches take, or {"texts"} for the
classes of texts.
"""

import contextlib
import io
import json
import pathlib
import sys
import time
from collections.abc import Callable

from bench_child import Child, once, peak, say

FILES = {
    "eager": "model.safetensors",
    "inference mode": "model.safetensors",
    "export": "model.pt2",
    "onnx": "model.onnx",
    "int8": "model.int8.onnx",
}
KEYS = ("input_ids", "attention_mask", "token_type_ids")


def make(folder: str) -> dict:
    """Export the model of a folder by torch.export and to ONNX, and quantise the latter."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    class Logits(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            given = {"attention_mask": attention_mask, "token_type_ids": token_type_ids}
            return self.model(input_ids=input_ids, **given).logits

    path = pathlib.Path(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    longest = model.config.max_position_embeddings
    example = {key: torch.ones(2, 8, dtype=torch.long) for key in KEYS}
    sizes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("length", min=2, max=longest)}
    shapes = {key: sizes for key in KEYS}
    program = torch.export.export(Logits(model).eval(), (), example, dynamic_shapes=shapes)
    torch.export.save(program, path / FILES["export"])
    names = {"input_names": list(KEYS), "output_names": ["logits"]}
    torch.onnx.export(program, (), path / FILES["onnx"], **names, external_data=False, verbose=False)
    quantize_dynamic(path / FILES["onnx"], path / FILES["int8"], weight_type=QuantType.QInt8)
    return {name: (path / file).stat().st_size / 1e6 for name, file in FILES.items()}


def texts(folder: str) -> dict:
    """The validation split; the folder does not matter."""
    from course_utils import data

    rows = data.rotten_tomatoes()["validation"]
    return {"texts": rows["text"][:], "labels": rows["label"][:]}


def logits_by(way: str, folder: str) -> Callable:
    """A function from NumPy arrays to logits, by one of the ways; raises `KeyError` for another."""
    path = pathlib.Path(folder) / FILES[way]
    if way in ("onnx", "int8"):
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda batch: session.run(None, {key: batch[key] for key in KEYS})[0]
    import torch
    from transformers import AutoModelForSequenceClassification

    if way == "export":
        model = torch.export.load(path).module()
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()

    def logits(batch):
        with torch.inference_mode(way != "eager"):
            found = model(**{key: torch.from_numpy(batch[key]) for key in KEYS})
        return (found if way == "export" else found.logits).detach().numpy()

    return logits


def answer(way: str, folder: str) -> None:
    """Answer what is asked on stdin, line by line."""
    import numpy
    from transformers import AutoTokenizer

    logits, tokenizer = logits_by(way, folder), AutoTokenizer.from_pretrained(folder)
    say("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        if "texts" in asked:
            classes = []
            for start in range(0, len(asked["texts"]), 32):
                texts = asked["texts"][start : start + 32]
                batch = tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="np")
                classes += logits(dict(batch)).argmax(axis=1).tolist()
            say({"classes": classes, "peak": peak()})
            continue
        ids = numpy.random.default_rng(0).integers(1000, 20_000, (asked["batch"], asked["length"]))
        batch = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        logits(batch)
        seconds, begin = [], time.perf_counter()
        while len(seconds) < 3 or time.perf_counter() - begin < asked["seconds"]:
            start = time.perf_counter()
            logits(batch)
            seconds.append(time.perf_counter() - start)
        say({"seconds": seconds, "peak": peak()})


def start(folder: str) -> dict[str, Child]:
    """A process for each way, ready to answer."""
    return {way: Child("bench_inference.py", way, folder) for way in FILES}


def durations(ways: dict[str, Child], batch: int, length: int, seconds: float, turns: int = 3) -> list[dict]:
    """p50, p95 and rows a second of every way, which take turns of some seconds each."""
    took = {way: [] for way in ways}
    for _ in range(turns):
        for way, child in ways.items():
            asked = {"batch": batch, "length": length, "seconds": seconds / turns}
            took[way] += child.ask(asked)["seconds"]
    found = []
    for way, each in took.items():
        each.sort()
        p50, p95 = (1e3 * each[int(share * len(each))] for share in (0.5, 0.95))
        row = {"way": way, "batch": batch, "length": length, "p50 ms": p50, "p95 ms": p95}
        found.append(row | {"rows/s": 1e3 * batch / p50})
    return found


def answers(ways: dict[str, Child], texts: list[str], labels: list[int]) -> list[dict]:
    """Accuracy, flips against eager and peak memory of every way; ends the processes."""
    found, eager = [], None
    for way, child in ways.items():
        with child:
            told = child.ask({"texts": texts})
        eager = eager or told["classes"]
        right = sum(a == b for a, b in zip(told["classes"], labels, strict=True))
        flips = sum(a != b for a, b in zip(told["classes"], eager, strict=True))
        accuracy = right / len(labels)
        found.append({"way": way, "accuracy": accuracy, "flips": flips, "peak MB": told["peak"]})
    return found


def files(folder: str) -> dict:
    """Make the files in a process of its own; their sizes in MB."""
    return once("bench_inference.py", "make", folder)


if __name__ == "__main__":
    once_only = {"make": make, "texts": texts}
    if sys.argv[1] in once_only:
        with contextlib.redirect_stdout(io.StringIO()):  # what the libraries print is no answer
            found = once_only[sys.argv[1]](sys.argv[2])
        say(found)
    else:
        answer(*sys.argv[1:])
