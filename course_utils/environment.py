"""Where the code runs, and with what: set-up, seeds, device, precision."""

import importlib.metadata
import os
import random
import sys
import sysconfig
import time
import types
import warnings
from typing import TYPE_CHECKING

from course_utils import plotting
from course_utils.claims import say
from course_utils.errors import CourseError
from course_utils.translation import missing_language

if TYPE_CHECKING:
    import torch

# The ranges of pyproject.toml are read from the installed package's metadata; these are the names shown.
SHOWN = ("torch", "transformers", "datasets")


def where() -> str:
    """Where the code runs: "colab", "jupyter" (a notebook elsewhere) or "plain" (a script or a terminal)."""
    if "google.colab" in sys.modules:
        return "colab"
    return "jupyter" if "ipykernel" in sys.modules else "plain"


def setup(seed: int = 0) -> None:
    """Prepare a lesson: quiet logs, fixed seeds, the course's figure style; print one line of versions.

    Run it before torch is imported: OpenMP reads GOMP_SPINCOUNT when it is loaded. Its threads wait for one
    another in a busy loop, and beside another program they lose most of their time that way: training the
    embedded BERT fell from 59 to 16 sentences a second. With a short loop it stays at 59 alone and at 31
    beside another program.

    Source: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm's, and no bar is shown anyway

    _fold_tracebacks()
    set_seed(seed)
    plotting.use_style()
    say(_versions_line())
    if missing := missing_language():
        say(missing)
    if where() == "colab" and device().type == "cpu":
        print("No GPU: choose Runtime > Change runtime type > T4 GPU, then run this cell again.")


def _fold_tracebacks():
    """Show of an error only what the learner wrote: libraries' frames, often a hundred lines, are left out.

    `%xmode Verbose` does not bring them back; `import traceback; traceback.print_exception(sys.last_value)`
    in the next cell prints everything.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or getattr(shell.InteractiveTB, "folds", False):
        return
    whole = shell.InteractiveTB.structured_traceback

    def folded(kind=None, error=None, trace=None, *args, **kwargs):
        kept, left_out = _own_frames(trace)
        if not left_out:
            return whole(kind, error, trace, *args, **kwargs)
        # What led to an error inside a library is not shown either; afterwards the error is as it was.
        cause, suppressed = error.__cause__, error.__suppress_context__
        error.__cause__ = None  # this suppresses the context as well
        try:
            lines = whole(kind, error, kept, *args, **kwargs)
        finally:
            error.__cause__, error.__suppress_context__ = cause, suppressed
        return [*lines[:-1], f"... {left_out} calls inside libraries are left out ...", lines[-1]]

    shell.InteractiveTB.structured_traceback = folded
    shell.InteractiveTB.folds = True


def _own_frames(trace):
    """(A traceback without the frames of libraries, how many were left out); all of them if none is left."""
    libraries = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), os.path.dirname(__file__))
    frames, position = [], trace
    while position is not None:
        frames.append(position)
        position = position.tb_next
    # The first frame is IPython's own call of the cell: it is needed, and never shown.
    own = frames[:1] + [
        frame
        for frame in frames[1:]
        if not frame.tb_frame.f_code.co_filename.startswith(
            ("<frozen", "<__array_function__", "<string>", *libraries)
        )
    ]
    if len(own) < 2 or len(own) == len(frames):
        return trace, 0
    kept = None
    for frame in reversed(own):
        kept = types.TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept, len(frames) - len(own)


def _versions_line() -> str:
    import torch

    python = ".".join(map(str, sys.version_info[:3]))
    packages = " · ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN)
    return f"Python {python} · {packages} · {device()}, {torch.get_num_threads()} threads"


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's random numbers (every device), so that a cell gives the same again.

    Source: PyTorch's notes on reproducibility, https://pytorch.org/docs/stable/notes/randomness.html
    """
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def device() -> "torch.device":
    """The device to compute on, a `torch.device`: a CUDA GPU, an Apple GPU ("mps"), or the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(on: "torch.device") -> "torch.dtype":
    """The dtype to train in with `torch.autocast` on the device `on`; `torch.float32` means no autocast.

    - CUDA: bfloat16 from compute capability 8.0, float16 below it. `torch.cuda.is_bf16_supported()` is not
      asked: it answers True on a T4, where bfloat16 is emulated.
    - CPU: bfloat16 only if a short matmul in it is clearly faster (1.3 times) than in float32: a processor
      without the instructions emulates it, many times slower.
    - The variable COURSE_PRECISION (float32, bfloat16 or float16) overrides the choice.

    Raises `CourseError` if COURSE_PRECISION is set to something else.
    """
    import torch

    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    wish = os.environ.get("COURSE_PRECISION", "")
    if wish:
        if wish not in named:
            raise CourseError(
                f"COURSE_PRECISION is {wish!r}; set it to one of {', '.join(named)}, or unset it."
            )
        return named[wish]
    if on.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(on) >= (8, 0) else torch.float16
    if on.type == "cpu" and _matmul_seconds(torch.float32) > 1.3 * _matmul_seconds(torch.bfloat16):
        return torch.bfloat16
    return torch.float32


def _matmul_seconds(dtype: "torch.dtype", size: int = 256, repeats: int = 5) -> float:
    """Seconds of the fastest of a few products of two (size, size) matrices on the CPU, warmed up once."""
    import torch

    left, right = (torch.ones(size, size, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
