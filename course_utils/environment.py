"""Where the code runs, and with what: set-up, seeds, device, precision."""

import importlib.metadata
import os
import random
import sys
import time
import warnings

from course_utils import plotting
from course_utils.errors import CourseError

# The ranges of pyproject.toml are read from the installed package's metadata; these are the names shown.
SHOWN = ("torch", "transformers", "datasets")


def where():
    """Where the code runs: "colab", "jupyter" (a notebook elsewhere) or "plain" (a script or a terminal)."""
    if "google.colab" in sys.modules:
        return "colab"
    return "jupyter" if "ipykernel" in sys.modules else "plain"


def setup(seed=0):
    """Prepare a lesson: quiet logs, fixed seeds, the course's figure style; print one line of versions."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm's, and no bar is shown anyway

    set_seed(seed)
    plotting.use_style()
    print(_versions_line())
    if where() == "colab" and device().type == "cpu":
        print("No GPU: choose Runtime > Change runtime type > T4 GPU, then run this cell again.")


def _versions_line():
    import torch

    python = ".".join(map(str, sys.version_info[:3]))
    packages = " · ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN)
    return f"Python {python} · {packages} · {device()}, {torch.get_num_threads()} threads"


def set_seed(seed):
    """Seed Python's, NumPy's and torch's random numbers (every device), so that a cell gives the same again.

    Source: PyTorch's notes on reproducibility, https://pytorch.org/docs/stable/notes/randomness.html
    """
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def device():
    """The device to compute on, a `torch.device`: a CUDA GPU, an Apple GPU ("mps"), or the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(on):
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


def _matmul_seconds(dtype, size=256, repeats=5):
    """Seconds of the fastest of a few products of two (size, size) matrices on the CPU, warmed up once."""
    import torch

    left, right = (torch.ones(size, size, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
