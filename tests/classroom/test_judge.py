"""The judge: what was handed in is data; what cannot be read, is incomplete or breaks a rule gets no mark."""

import json
import os
import pickle
import sys
import types

import pytest
import torch
from safetensors.torch import save_file

from course_utils import exercises
from course_utils.checks.feedback import Attempt, attempt, verdict
from course_utils.checks.sandbox import Outcome
from course_utils.classroom import travel
from course_utils.classroom.inputs_only import inputs_only, shared_with_reference
from course_utils.classroom.judge import Judge
from course_utils.classroom.plain import not_plain
from course_utils.errors import CourseError


@pytest.fixture(scope="module")
def losses():
    return Judge(4)


def handed_in(folder, judge, number, answer):
    path = folder / f"{number}.safetensors"
    travel.write(path, attempt(judge.exercises[number], answer))
    return path


def test_values_arrive_as_they_were_sent(tmp_path):
    value = {
        "tensors": [torch.arange(6.0).reshape(2, 3).T, torch.tensor([True]), torch.tensor(3)],
        ("a", 1): (None, True, 2, 10**30, float("inf"), "ü", b"\x00\xff", 1 + 2j, {1, 2}, torch.float16),
        "learnt": torch.ones(2, requires_grad=True),
    }
    travel.write(tmp_path / "file", Attempt(outcomes=[Outcome(value=value, changed={0: torch.ones(1)})]))
    got = travel.read(tmp_path / "file").outcomes[0]
    assert repr(got.value) == repr(value) and got.value["learnt"].requires_grad
    assert torch.equal(got.changed[0], torch.ones(1))


def test_an_object_arrives_as_its_name_and_text(tmp_path):
    class Clever:
        def __eq__(self, other):
            return True

    travel.write(tmp_path / "file", Attempt(outcomes=[Outcome(value=Clever())]))
    got = travel.read(tmp_path / "file").outcomes[0].value
    assert type(got).__name__ == "Clever" and got != 1 and isinstance(got, travel.Unknown)


def metadata(tree):
    return lambda path: save_file({}, path, {"tree": json.dumps(tree)})


def deep(path):
    save_file({}, path, {"tree": '{"list": [' * 50_000 + "]}" * 50_000})


FORGED = {
    "nothing": lambda path: None,
    "a link to another file": lambda path: os.symlink("/etc/passwd", path),
    "a folder": os.mkdir,
    "a pipe": os.mkfifo,
    "garbage": lambda path: path.write_bytes(b"\xff" * 1000),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(print)),
    "too large": lambda path: path.write_bytes(b"\0" * (travel.LARGEST + 1)),
    "no tree": lambda path: save_file({"0": torch.ones(1)}, path),
    "another tree": metadata([1, 2]),
    "too deep": deep,
    "a verdict": metadata({"dict": [["verdict", "right"]]}),
    "other fields": metadata({"dict": [["outcomes", {"list": []}], ["passed", True]]}),
    "wrong types": metadata({"dict": [["outcomes", {"list": []}], ["misfit", 3]]}),
    "no outcomes": metadata({"dict": [["outcomes", {"list": []}]]}),
    "changes of no argument": metadata(
        {
            "dict": [
                ["outcomes", {"list": [{"dict": [["changed", {"dict": [[99, 1]]}], ["error", None]]}] * 4}]
            ]
        }
    ),
    "an unknown dtype": metadata({"dict": [["outcomes", {"dtype": "__class__"}]]}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_file_gets_no_mark(kind, tmp_path, losses):
    path = tmp_path / "4.2.safetensors"
    FORGED[kind](path)
    mark = losses.mark("4.2", path, "")
    assert mark.state == "missing" and mark.words.startswith("✗ 4.2 Negative log-likelihood: ")


def test_an_attempt_of_fewer_inputs_gets_no_mark(tmp_path, losses):
    whole = attempt(losses.exercises["4.2"], losses.exercises["4.2"].reference)
    whole.outcomes.pop()
    travel.write(tmp_path / "file", whole)
    assert losses.mark("4.2", tmp_path / "file", "").state == "missing"


def test_texts_of_any_length_are_refused(tmp_path):
    travel.write(tmp_path / "file", Attempt(misfit="x" * 10_000))
    with pytest.raises(CourseError):
        travel.read(tmp_path / "file")


@pytest.mark.parametrize("number", [f"4.{n}" for n in range(1, 10)])
def test_the_judge_says_what_the_check_says(number, tmp_path, losses):
    exercise = losses.exercises[number]

    def stub(*args):
        raise NotImplementedError

    def failing(*args):
        raise ValueError("no idea")

    answers = [exercise.reference, stub, failing, None, 3, lambda *args: "text"]
    if number == "4.9":  # each answer to it trains
        answers = [exercise.reference, stub, lambda train: None]
    else:
        answers += [mistake.answers[0] for mistake in exercise.mistakes]
    for answer in answers:
        mark = losses.mark(number, handed_in(tmp_path, losses, number, answer), "")
        assert mark.words == verdict(number, answer)


def test_a_rule_that_the_source_does_not_vouch_for_goes_to_a_person(tmp_path, losses):
    right = losses.exercises["4.2"].reference
    path = handed_in(tmp_path, losses, "4.2", right)
    assert losses.mark("4.2", path, "").state == "right"
    mark = losses.mark("4.2", path, "the code uses `exec`")
    assert mark.state == "by hand" and "`exec`" in mark.words
    wrong = handed_in(tmp_path, losses, "4.2", lambda log_p, target: log_p.sum())
    assert losses.mark("4.2", wrong, "the code uses `exec`").state == "wrong"
    path = handed_in(tmp_path, losses, "4.6", losses.exercises["4.6"].reference)
    assert losses.mark("4.6", path, "the code uses `exec`").state == "right"  # 4.6 has no rule


HONEST = [
    "def f(x):\n    return x.exp().sum(dim=1).log()",
    "import torch\nimport torch.nn.functional as F\nassert torch.allclose(F.relu(x), y)",
    "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = 3",
    "w.grad = None\nw.requires_grad = True\nx.data = y\nclasses = 3\nmodel.eval()",
    "%matplotlib inline\nplt.plot(x)",
    'print(type(x).__name__, getattr(F, "relu")(x))',
    "check('4.2', f)",
    "this is no Python",
    "what = 1 if x else 2  # is this right?\nprint(what)",
]
SNEAKY = [
    "exec('x = 1')",
    "eval('F.nll_' + 'loss')",
    "import sys",
    "import torch._C",
    "from torch import _C",
    "from torch.overrides import TorchFunctionMode",
    "import course_utils.checks.rules as r",
    "from course_utils.checks import rules",
    "from helper import answer",
    "from .helper import answer",
    "from torch import *",
    "torch.allclose = lambda *a, **k: True",
    "torch.Tensor.__eq__ = lambda a, b: True",
    "for F.relu in [F.nll_loss]: pass",
    "setattr(torch, 'equal', f)",
    "getattr(F, 'nll' + '_loss')(x, y)",
    "g = getattr",
    "getattr(torch, '_C')",
    ",exec x = 1",
    "x = !ls",
    "torch.relu?",
    "f.__globals__['x'] = 1",
    "class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, t, a=(), k=None): return 0",
    "class T(torch.Tensor):\n    __torch_function__ = None",
    "T = type('T', (), {})",
    "def reach(self): return self._C\nreach(torch)",
    "sys.modules['course_utils']",
    "subprocess.run(['ls'])",
    "torch.os.listdir('.')",
    "open('/out/4.2.safetensors', 'wb')",
    "np.save('/out/4.2', x)",
    "torch.jit.script(F.nll_loss)",
    "torch.ops.aten.nll_loss_forward(x)",
    "!ls",
    "%run x.py",
    "get_ipython().run_cell('x')",
    "@functools.wraps(g)\ndef f(x): return x",
    "hand_in = print",
    "with torch.DisableTorchFunctionSubclass(): pass",
    "globals()['check'] = print",
]


@pytest.mark.parametrize("source", HONEST)
def test_ordinary_code_is_plain(source):
    assert not_plain(["x = 1", source]) == ""


@pytest.mark.parametrize("source", SNEAKY)
def test_code_that_could_blind_the_watcher_is_not_plain(source):
    assert not_plain(["x = 1", source])


@pytest.mark.parametrize("lesson", exercises.lessons())
def test_the_jail_gets_the_inputs_and_nothing_else(lesson):
    judge = Judge(lesson)
    module = types.ModuleType("stripped")
    declared = exercises.exercise.declared
    kept = {number: declared.pop(number) for number in judge.exercises}
    try:
        exec(compile(judge.stripped, "stripped", "exec"), vars(module))
        stripped = {number: declared.pop(number) for number in judge.exercises}
    finally:
        declared.update(kept)
    for number, exercise in judge.exercises.items():
        other = stripped[number]
        assert other.argument_names() == exercise.argument_names()
        assert (other.rules, other.kind, other.gradients) == (
            exercise.rules,
            exercise.kind,
            exercise.gradients,
        )
        assert other.judge is None and other.mistakes == ()
        inputs, others = (
            repr([(case.name, case.args, case.then) for case in e.cases]) for e in (exercise, other)
        )
        assert inputs == others or " at 0x" in inputs
        reference = exercise.reference
        if getattr(reference, "__module__", "") == judge.module.__name__ and not judge.by_hand(number):
            assert reference.__name__ == "<lambda>" or not hasattr(module, reference.__name__)


def test_a_helper_of_the_reference_that_the_inputs_need_is_found():
    source = (
        "from course_utils.checks.exercise import case, exercise\n"
        "def twice(x):\n    return 2 * x\n"
        "def reference(x):\n    return twice(x)\n"
        'exercise("99.1", "T", reference=reference, mistakes=[], cases=[case("a", twice(1))])\n'
    )
    space = {}
    exec(compile(source, "made", "exec"), space)
    stripped = inputs_only(source, {"99.1": exercises.exercise.declared.pop("99.1")})
    assert "def reference" not in stripped and "def twice" in stripped
    assert shared_with_reference(source, stripped) == {"99.1": ["twice"]}


def test_a_teachers_seed_gives_other_inputs(monkeypatch):
    from course_utils.checks.exercise import Draw

    usual = Draw("4.2").floats(3)
    monkeypatch.setenv("COURSE_SEED", "7")
    assert not torch.equal(usual, Draw("4.2").floats(3))
    assert "course_utils.exercises" in sys.modules
