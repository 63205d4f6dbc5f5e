"""In the jail, beside the student's code: runs the notebook, and each answer on its inputs; judges nothing.

Nothing that this module does is trusted: a student's code can change all of it. What it writes is data, which
`judge` compares, elsewhere, with what the reference gives.
"""

import asyncio
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import sys
import time
from typing import Any

STATES = "states.safetensors"  # beside this file: what a module's parameters have to start from
LARGEST_OUTPUT = 200_000  # bytes that are kept of what a cell prints and shows
ENDLESS_OUTPUT = 10_000_000  # bytes behind which a cell is interrupted: nobody means to print as much


def hand_in(number: str, answer: Any) -> None:
    """Run `answer` on the inputs of the exercise `number` and write what came of it, for the judge."""
    from course_utils.checks.feedback import attempt
    from course_utils.checks.sandbox import untouched_state, within
    from course_utils.classroom import travel
    from course_utils.exercises import find

    exercise = find(number)
    # Several notebooks run at once, each on one thread: an answer gets more time than beside its author.
    exercise = dataclasses.replace(exercise, seconds=3 * exercise.seconds)
    if exercise.kind == "module":
        states = travel.read_tree(pathlib.Path(__file__).with_name(STATES))[number]
        exercise = dataclasses.replace(exercise, reference=_StandIn(exercise.reference, states))
    with untouched_state():
        found = within(None, lambda: attempt(exercise, answer))
    travel.write(pathlib.Path(os.environ["COURSE_HANDED_IN"]) / f"{number}.safetensors", found)


def check(number: str, answer: Any) -> None:
    """What stands in the place of `check` in the jail."""
    print(f"○ {number}: judged after the run")


class _StandIn:
    """In a reference module's place: given the constructor's arguments, a module with the same parameters."""

    def __init__(self, signature, states):
        self.forward = signature.forward
        self._states = states

    def __call__(self, *constructor):
        import torch

        module = torch.nn.Module()
        for name, (tensor, buffer) in self._states[repr(constructor)].items():
            *path, last = name.split(".")
            owner = module
            for part in path:
                if part not in dict(owner.named_children()):
                    owner.add_module(part, torch.nn.Module())
                owner = getattr(owner, part)
            if buffer:
                owner.register_buffer(last, tensor.clone())
            else:
                owner.register_parameter(last, torch.nn.Parameter(tensor.clone(), requires_grad=False))
        return module


def execute(notebook: pathlib.Path, executed: pathlib.Path, seconds: int) -> str:
    """Run all cells of `notebook`, each in at most so many seconds, and store it with its outputs.

    What it answers is "", or why the run ended before the last cell.
    """
    import nbformat
    from nbclient.exceptions import DeadKernelError
    from nbclient.util import ensure_async

    from course_utils.classroom import kernels

    class Client(kernels.Client):
        """Keeps the first bytes of what a cell shows, and interrupts one that shows no end of it.

        A kernel can print faster than this process reads, and what waits in between fills the memory.
        """

        shown: dict[int, int] = {}
        interrupted: dict[int, float] = {}  # when; not at every message, or it would meet the next cell

        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data"):
                size = len(json.dumps(msg["content"], default=str))
                room = LARGEST_OUTPUT - self.shown.get(cell_index, 0)
                self.shown[cell_index] = LARGEST_OUTPUT - room + size
                last = self.interrupted.get(cell_index, -math.inf)
                if self.shown[cell_index] > ENDLESS_OUTPUT and time.monotonic() - last > 10:
                    self.interrupted[cell_index] = time.monotonic()
                    self.interrupting = asyncio.ensure_future(ensure_async(self.km.interrupt_kernel()))
                if room <= 0:
                    return None
                if msg["msg_type"] == "stream":
                    msg["content"]["text"] = msg["content"]["text"][:room]
            return super().process_message(msg, cell, cell_index)

    book = nbformat.read(notebook, as_version=4)
    client = Client(
        book,
        timeout=seconds,
        interrupt_on_timeout=True,
        allow_errors=True,
        kernel_name="python3",
        resources={"metadata": {"path": os.getcwd()}},
    )
    ended = ""
    try:
        client.execute()
    except DeadKernelError:
        ended = "the kernel ended"
    except Exception as error:
        ended = f"the run ended ({type(error).__name__})"
    beside = executed.with_name(executed.name + ".part")
    with contextlib.suppress(OSError):
        nbformat.write(book, beside)
        os.replace(beside, executed)
    return ended


def _limit(memory: int) -> None:
    """Limits that what runs here cannot lift again."""
    import resource

    for kind, most in [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 64_000_000),
        (resource.RLIMIT_NPROC, 1000),  # threads count; it does not bind root
        (resource.RLIMIT_AS, 3 * memory),
    ]:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    handed_in = pathlib.Path(os.environ["COURSE_HANDED_IN"])
    _limit(int(sys.argv[3]))
    why = execute(pathlib.Path(sys.argv[1]), handed_in / "executed.ipynb", int(sys.argv[2]))
    (handed_in / "ended.txt").write_text(why, encoding="utf8")
