"""Where the code runs and with what: seeds, precision, the choice of the checkpoint, set-up."""

import inspect
import json
import os
import random
import re
import subprocess
import sys
import types

import numpy
import pytest
import torch

from course_utils import checkpoints, data, doctor, environment, hub, package_files, python_version
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
        "import sys, time; start = time.process_time(); import course_utils\n"
        "print(time.process_time() - start)\n"
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


@pytest.mark.parametrize(
    "module", [data, hub, package_files, python_version, doctor], ids=lambda m: m.__name__
)
def test_public_functions_are_annotated(module):
    for name, function in vars(module).items():
        function = inspect.unwrap(function) if callable(function) else function
        if inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_":
            assert set(function.__annotations__) == {*inspect.signature(function).parameters, "return"}, name


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


def in_parts(folder, parts, index):
    """Save weights in several files, with their index; take the one file away."""
    from safetensors.torch import save_file

    (folder / "model.safetensors").unlink()
    for part in parts:
        save_file({part: torch.ones(1)}, folder / part)
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf8")


PARTS = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
INDEX = json.dumps({"metadata": {}, "weight_map": {f"layer {i}": part for i, part in enumerate(PARTS)}})


def test_choose_takes_weights_in_several_files(own_checkpoint, capsys):
    in_parts(own_checkpoint, PARTS, INDEX)
    assert checkpoints.choose(own_checkpoint) == str(own_checkpoint)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("parts", "lacks"),
    [
        (PARTS[:2], f"lacks {PARTS[2]}, a part of its weights"),
        (PARTS[2:], f"lacks {PARTS[0]} and 1 more, a part"),
        ([], f"lacks {PARTS[0]} and 2 more"),
    ],
)
def test_choose_names_the_part_of_the_weights_that_is_missing(own_checkpoint, capsys, parts, lacks):
    in_parts(own_checkpoint, parts, INDEX)
    with pytest.raises(CourseError, match=f'my_bert {lacks}.*type  checkpoints.choose\\("embedded"\\)$'):
        checkpoints.choose(own_checkpoint)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("index", ["<html>", "[]", "{}", '{"weight_map": []}', '{"weight_map": 1}'])
def test_choose_refuses_a_list_of_weights_that_is_none(own_checkpoint, index):
    in_parts(own_checkpoint, PARTS, index)
    with pytest.raises(CourseError, match="index.json, the list of .*my_bert's weights, cannot be read"):
        checkpoints.choose(own_checkpoint)


def test_choose_ignores_the_list_of_weights_if_they_are_in_one_file(own_checkpoint, capsys):
    (own_checkpoint / "model.safetensors.index.json").write_text(INDEX, encoding="utf8")
    assert checkpoints.choose(own_checkpoint) == str(own_checkpoint)
    capsys.readouterr()


def test_choose_refuses_truncated_weights_and_leaves_a_learners_file_alone(own_checkpoint, capsys):
    weights = own_checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(
        CourseError, match=r"model.safetensors of .*my_bert are damaged or incomplete\. Every"
    ):
        checkpoints.choose(str(own_checkpoint))
    assert capsys.readouterr().out == ""
    assert weights.exists()


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


def test_nothing_raises_where_only_ascii_can_be_printed():
    source = """
import matplotlib.pyplot as plt
from course_utils import setup, show
setup()
show(plt.figure(), alt="The loss falls to \u00bd of what it was \u2713")
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "MPLBACKEND": "agg"},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    versions, caption = done.stdout.decode("ascii").splitlines()
    assert versions.startswith("Python 3.1") and "torch" in versions and versions.endswith("threads")
    assert caption == "The loss falls to ? of what it was [ok]"
