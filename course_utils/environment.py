"""Where the code runs, and with what: seeds, device, precision, and a doctor that says what is wrong."""

import importlib.metadata
import os
import random
import sys
import time
import warnings

# The ranges of pyproject.toml are read from the installed package's metadata; these are the names shown.
SHOWN = ("torch", "transformers", "datasets")


class CourseError(RuntimeError):
    """Something outside the lesson is wrong; the message says what to type next."""


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

    from course_utils import plotting

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


def doctor():
    """Print one line a fact about this machine, each [ok], [warn] or [fail] with what to do.

    Returns the number of [fail] lines. `python -m course_utils doctor` exits with 1 if there are any.
    """
    fails = 0
    for status, fact in _facts():
        print(f"[{status}]{' ' * (5 - len(status))}{fact}", flush=True)
        fails += status == "fail"
    return fails


def _facts():
    """Yield a (status, fact) pair for everything that a bug report should say."""
    from course_utils import hub
    from course_utils.python_version import problem

    python = ".".join(map(str, sys.version_info[:3]))
    wrong = problem(sys.version_info[:2])
    yield ("fail", wrong) if wrong else ("ok", f"Python {python} ({where()}, {sys.platform})")
    missing = False
    for status, fact in _package_facts():
        missing |= status == "fail"
        yield status, fact
    if missing:
        yield "warn", "device, precision, model and data were not looked at: install the packages first"
        return
    yield from _hardware_facts()
    if hub.reachable():
        yield "ok", "Hugging Face's hub answers"
    else:
        yield (
            "warn",
            "Hugging Face's hub does not answer: every lesson runs without it, on the embedded model",
        )
    yield from _file_facts()


def _package_facts():
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield "fail", "packaging is missing: type  pip install packaging"
        return
    try:
        requirements = importlib.metadata.requires("course-utils") or []
    except importlib.metadata.PackageNotFoundError:
        yield "fail", "course-utils is not installed: in the folder of the course, type  make lab"
        return
    for requirement in map(Requirement, requirements):
        name, allowed = requirement.name, requirement.specifier
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield "fail", f"{name} is missing: type  pip install '{name}{allowed}'"
            continue
        if allowed.contains(version, prereleases=True):
            yield "ok", f"{name} {version}"
        else:
            yield "fail", f"{name} {version} is outside {allowed}: type  pip install '{name}{allowed}'"


def _hardware_facts():
    import shutil

    try:
        import torch
    except (ImportError, OSError) as error:  # installed, but broken: a library is missing, or another build's
        version = importlib.metadata.version("torch")
        yield "fail", f"torch does not start ({error}): type  pip install --force-reinstall torch=={version}"
        return
    chosen = device()
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else chosen.type
    try:
        yield "ok", f"device: {name}; precision for training: {str(precision(chosen)).removeprefix('torch.')}"
    except CourseError as error:  # COURSE_PRECISION
        yield "fail", str(error)
    cores = os.cpu_count() or 1
    yield (
        ("ok" if cores >= 2 else "warn"),
        f"{cores} processor cores, {torch.get_num_threads()} used by torch",
    )
    gigabytes = _memory_gigabytes()
    if gigabytes is not None:
        enough = gigabytes >= 4
        yield (
            ("ok" if enough else "warn"),
            f"{gigabytes:.1f} GB of memory" + ("" if enough else ": close others"),
        )
    free = shutil.disk_usage(".").free / 1e9
    enough = free >= 2
    yield (
        ("ok" if enough else "warn"),
        f"{free:.1f} GB of disk free" + ("" if enough else ": free at least 2 GB"),
    )


def _memory_gigabytes():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError):  # Windows has no sysconf
        return None


def _file_facts():
    from course_utils import checkpoints, data

    for what, find in (("embedded BERT", checkpoints.embedded), ("reviews", data.reviews_file)):
        try:
            yield "ok", f"{what} present, SHA-256 right: {os.path.basename(find())}"
        except CourseError as error:
            yield "fail", str(error)
