"""Processes that measure, one question a line, for `tools/bench.py`.

Each measurement has a process of its own, so that its peak of memory is its own. Processes that are compared
are started together and asked in turns, so that whatever else the machine does disturbs them alike.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
SETTINGS = {  # as under setup(); what is set already stays; and no GPU, since the targets are a processor's
    "CUDA_VISIBLE_DEVICES": "",
    "GOMP_SPINCOUNT": "1000",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


def peak() -> float:
    """The most memory that this process had, in MB."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def say(answer: object) -> None:
    """Answer the process that asks, by one line."""
    print(json.dumps(answer), flush=True)


class Child:
    """A file of this folder in a process of its own: `first` is the first line that it wrote."""

    def __init__(self, file: str, *arguments: object):
        line = [sys.executable, str(ROOT / "tools" / file), *map(str, arguments)]
        environment = {**SETTINGS, **os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(line, env=environment, text=True, encoding="utf8", **pipes)
        self.first = self.read()

    def read(self) -> str:
        """Its next line; raises `RuntimeError` if it has ended instead."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[1:]} ended with {self.process.wait()}")
        return line.strip()

    def ask(self, what: object = None) -> dict:
        """Its answer to one question; raises `RuntimeError` if it has ended instead."""
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def once(file: str, *arguments: object) -> dict:
    """What a process says that answers once and ends."""
    with Child(file, *arguments) as child:
        return json.loads(child.first)
