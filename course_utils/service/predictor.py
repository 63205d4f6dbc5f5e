"""Texts in, answers out: a classifier of a folder that `save_pretrained` wrote."""

import os

from course_utils.errors import CourseError
from course_utils.package_files import file_sha256

WEIGHTS, ONNX = "model.safetensors", "model.onnx"


class Predictor:
    """Classifies texts with the model and the tokenizer of a folder.

    `engine` is "torch" (reads model.safetensors) or "onnx" (reads model.onnx by ONNX Runtime). Texts of more
    than `longest` tokens are cut there, and their answers say so. `threads` limits the processor cores that
    are used; 0 takes what the library takes.

    `labels` lists the classes' names, `sha256` names the weights: it is the hash of the file that was read.

    Raises `CourseError` if the folder lacks a file, or the engine is not one of the two.
    """

    def __init__(
        self, folder: str | os.PathLike, engine: str = "torch", longest: int = 128, threads: int = 0
    ):
        from transformers import AutoConfig, AutoTokenizer

        if engine not in ("torch", "onnx"):
            raise CourseError(f"The engine is 'torch' or 'onnx', and got {engine!r}.")
        file = os.path.join(folder, WEIGHTS if engine == "torch" else ONNX)
        for path in (file, os.path.join(folder, "config.json"), os.path.join(folder, "tokenizer.json")):
            if not os.path.isfile(path):
                raise CourseError(f"{path} is missing: save model and tokenizer there by save_pretrained.")
        self.engine, self.longest, self.sha256 = engine, longest, file_sha256(file)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        config = AutoConfig.from_pretrained(folder)
        self.labels = [config.id2label[i] for i in range(config.num_labels)]
        self._logits = (_torch if engine == "torch" else _onnx)(folder, file, threads)

    def __call__(self, texts: list[str]) -> list[dict]:
        """For each text {"label": its class, "score": that class's probability, "truncated": a bool}."""
        import numpy

        found = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.longest, return_tensors="np"
        )
        logits = self._logits(dict(found))  # (texts, labels)
        shares = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return [
            {
                "label": self.labels[share.argmax()],
                "score": round(float(share.max()), 4),
                "truncated": bool(encoding.overflowing),
            }
            for share, encoding in zip(shares, found.encodings, strict=True)
        ]


def _torch(folder, file, threads):
    import torch
    from transformers import AutoModelForSequenceClassification

    if threads:
        torch.set_num_threads(threads)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()

    def logits(batch):
        with torch.inference_mode():
            return model(**{name: torch.from_numpy(array) for name, array in batch.items()}).logits.numpy()

    return logits


def _onnx(folder, file, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads sleep while they wait: in a busy loop they would take the processor from the web server.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda batch: session.run(None, {name: batch[name] for name in names})[0]
