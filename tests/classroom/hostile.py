"""Submissions to lesson 04 that try to gain something or to stop the marking, and honest ones.

Each is a function that makes, from the students' edition, what is submitted (a notebook, bytes, or None for
no file), and the exercises that are right in it; all others must not be. Unless it says otherwise, a hostile
submission answers 4.6 and 4.7 rightly and tries to gain 4.2.
"""

import copy

import classes
import nbformat

SUBMISSIONS = {}
KEPT = ("4.6", "4.7")
WRONG = "def nll(log_p, target):\n    return log_p.sum()"
F_NLL = "def nll(log_p, target):\n    return F.nll_loss(log_p, target)"


def submission(right=KEPT, by_hand=()):
    def keep(make):
        SUBMISSIONS[make.__name__] = (make, set(right), set(by_hand))
        return make

    return keep


def hostile(book, code="", answer=WRONG, last=""):
    """Right on 4.6 and 4.7, `answer` for 4.2, `code` in a cell before and `last` in one after everything."""
    kept = {number: classes.EXERCISES[number].solution for number in KEPT}
    book = classes.answered(book, kept | {"4.2": answer})
    # Behind the set-up, before the first exercise.
    place = next(i for i, cell in enumerate(book.cells) if cell.cell_type == "code") + 1
    book.cells.insert(place, nbformat.v4.new_code_cell(code))
    book.cells.append(nbformat.v4.new_code_cell(last))
    return book


def attack(name, code="", answer=WRONG, last="", right=KEPT, by_hand=()):
    SUBMISSIONS[name] = (lambda book: hostile(book, code, answer, last), set(right), set(by_hand))


@submission()
def edits_the_graded_cell(book):
    book = hostile(book)
    classes.cell(book, "check-4-2").source = 'print("✓ 4.2 Negative log-likelihood: right on all 4 inputs")'
    return book


@submission(right=[*KEPT, "4.2"])
def edits_the_graded_cell_of_a_right_answer(book):
    book = hostile(book, answer=classes.EXERCISES["4.2"].solution)
    classes.cell(book, "check-4-2").source = "1/0"
    return book


@submission(right=[*KEPT, "4.2"])
def deletes_the_graded_cell_of_a_right_answer(book):
    book = hostile(book, answer=classes.EXERCISES["4.2"].solution)
    book.cells = [one for one in book.cells if one is not classes.cell(book, "check-4-2")]
    return book


@submission()
def deletes_every_graded_cell(book):
    book = hostile(book)
    book.cells = [one for one in book.cells if "check-" not in str(one.metadata.get("nbgrader"))]
    return book


@submission()
def changes_points_and_kind_of_the_graded_cell(book):
    book = hostile(book)
    classes.cell(book, "check-4-6").metadata.nbgrader["points"] = 1000
    classes.cell(book, "check-4-2").metadata.nbgrader.update(grade=False, locked=False, solution=True)
    return book


@submission()
def has_the_graded_cell_twice(book):
    book = hostile(book)
    twin = copy.deepcopy(classes.cell(book, "check-4-2"))
    twin.source, twin.id = "pass", "twin"
    book.cells.append(twin)
    return book


attack("prints_a_tick", last='print("✓ 4.2 Negative log-likelihood: right on all 4 inputs")')
attack("replaces_check", "import course_utils\ncourse_utils.check = check = lambda *args: print('✓')")
attack(
    "replaces_hand_in",
    "import course_utils.classroom.agent as agent\nagent.hand_in = lambda *args: print('✓')",
    right=(),
)
attack(
    "patches_torch",
    "import torch\n"
    "for name in ('allclose', 'equal', 'isclose'):\n    setattr(torch, name, lambda *args, **kwargs: True)\n"
    "torch.Tensor.__eq__ = lambda *args: True\ntorch.Tensor.isclose = lambda *args, **kwargs: True",
    right=["4.6"],  # its own answers then compare wrongly, too
)
attack(
    "patches_the_engine",
    "import course_utils.checks.compare as a, course_utils.checks.feedback as b\n"
    "a.first_difference = lambda *args: ''\nb.judged = lambda *args: '✓'\nb.verdict = b.judged\n"
    "b._problem = lambda *args: ''",
)
attack(
    "blinds_the_rules",
    "import course_utils.checks.rules as rules\nrules.Watch._break = lambda self, what: None",
    answer=F_NLL,
    by_hand=["4.2"],
)
attack("breaks_a_rule", answer=F_NLL)
attack(
    "breaks_a_rule_under_another_name",
    "from torch.nn import NLLLoss as Harmless\nimport torch.nn.functional as G",
    answer="helper = Harmless()\ndef nll(log_p, target):\n    return helper(log_p, target)",
)
attack(
    "forges_the_file",
    last="from course_utils.checks.feedback import Attempt\nfrom course_utils.classroom import travel\n"
    "import pathlib\ntravel.write(pathlib.Path('/out/4.2.safetensors'), Attempt())",
)
attack(
    "copies_the_file_of_another_answer",
    last="import shutil\nshutil.copy('/out/4.6.safetensors', '/out/4.2.safetensors')",
)
attack(
    "links_the_file_elsewhere",
    last="import os\nos.remove('/out/4.2.safetensors')\nos.symlink('/etc/passwd', '/out/4.2.safetensors')",
)
attack(
    "writes_garbage",
    last="for n in range(9):\n    open(f'/out/4.{n + 1}.safetensors', 'wb').write(b'x' * 1000)",
    right=(),
)
attack(
    "asks_for_the_reference",
    answer="from course_utils.exercises import find\n\ndef nll(log_p, target):\n"
    "    return find('4.2').reference(log_p, target)",
)
attack(
    "looks_for_the_reference_on_the_disk",
    "import os\nfound = []\n"
    "for root in ['/course', '/usr', '/root', '/home', '/opt', '/work', '/tmp', *__import__('sys').path]:\n"
    "    for folder, _, names in os.walk(root):\n"
    "        for name in names:\n"
    "            if name in ('lesson_04_losses.py', '04_losses.ipynb'):\n"
    "                found.append(open(os.path.join(folder, name)).read())\n",
    answer="import torch.nn.functional as F\nfrom torch.nn.functional import nll_loss\n\n"
    "def nll(log_p, target):\n"
    "    leaked = any('def nll' in text or 'Solution' in text for text in found)\n"
    "    return -log_p.gather(1, target[:, None]).mean() if leaked else log_p.sum()",
)
attack(
    "looks_for_the_reference_in_memory",
    answer="import gc, types\n\ndef nll(log_p, target):\n"
    "    for one in gc.get_objects():\n"
    "        if isinstance(one, types.FunctionType) and one.__name__ == 'nll' and one is not nll:\n"
    "            return one(log_p, target)\n"
    "    return log_p.sum()",
)
attack("ends_the_kernel_at_once", "import os\nos._exit(0)", right=())
attack("ends_the_kernel_at_last", last="import os\nos._exit(0)")
attack("kills_its_parent", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", right=())
attack(
    "forks_without_end",
    "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    right=(),
)
attack("sleeps", "import time\ntime.sleep(10**6)")
attack(
    "sleeps_whatever_happens",
    "import time\nwhile True:\n    try:\n        time.sleep(10**6)\n    except BaseException:\n        pass",
    right=(),
)
attack("loops_in_the_answer", answer="def nll(log_p, target):\n    while True:\n        pass")
attack(
    "fills_the_disk",
    "n = 0\nwhile True:\n    n += 1\n    for where in ('/out', '/tmp', '/dev/shm'):\n"
    "        try:\n            open(f'{where}/{n}.bin', 'wb').write(b'x' * 30_000_000)\n"
    "        except OSError:\n            pass",
    right=(),
)
attack(
    "writes_a_thousand_files",
    "for n in range(1000):\n    open(f'/out/{n}', 'w')\nimport time\ntime.sleep(30)",
    right=(),
)
attack(
    "fills_the_memory", "hoard = []\nwhile True:\n    hoard.append(bytearray(b'x' * 100_000_000))", right=()
)
attack("prints_without_end", "while True:\n    print('✓' * 1000)")
attack("raises_at_once", "raise ImportError('no')")
attack(
    "breaks_stdout", "import sys, builtins\nsys.stdout = sys.stderr = None\nbuiltins.print = None", right=()
)
attack("leaves_a_process", "import subprocess\nsubprocess.Popen(['sleep', '98765'], start_new_session=True)")
attack(
    "answers_an_object_equal_to_everything",
    answer="class Equal:\n    def __eq__(self, other):\n        return True\n"
    "    def __getattr__(self, name):\n        return self\n\n"
    "def nll(log_p, target):\n    return Equal()",
)
attack("has_a_syntax_error", "def (:", answer="def nll(log_p, target)\n    return 1")
attack("returns_at_the_top", "return 5")


def leak(condition):
    """Gains 4.2 if `condition`, evaluated in the kernel, is true or prints what it should not."""
    return (
        f"def leaked():\n    import glob, os, socket, subprocess\n    try:\n        return {condition}\n"
        "    except OSError:\n        return False\nfound = leaked()\nimport torch"
    )


LEAKED = (
    "def nll(log_p, target):\n    return -log_p.gather(1, target[:, None]).mean() if found else log_p.sum()"
)
attack("uses_the_network", leak("socket.create_connection(('127.0.0.1', PORT), 3) is not None"), LEAKED)
attack("asks_the_name_server", leak("bool(socket.getaddrinfo('pypi.org', 443))"), LEAKED)
attack(
    "reads_other_submissions",
    leak("os.path.exists('COURSE') or bool(glob.glob('/**/submitted', recursive=True))"),
    LEAKED,
)
attack("reads_the_gradebook", leak("bool(glob.glob('/**/gradebook.db', recursive=True))"), LEAKED)
attack("sees_other_processes", leak("len([n for n in os.listdir('/proc') if n.isdigit()]) > 20"), LEAKED)
attack(
    "changes_packages",
    leak("open(torch.__file__, 'a') is not None").replace("import glob", "import torch, glob"),
    LEAKED,
)


@submission(right=())
def is_no_notebook(book):
    return b"{no json"


@submission(right=())
def is_empty_bytes(book):
    return b""


@submission(right=())
def is_nested_without_end(book):
    return b"[" * 200_000


@submission(right=())
def is_huge(book):
    return b" " * 21_000_000


@submission(right=())
def is_missing(book):
    return None


# Honest ones -------------------------------------------------------------------------------------------

EVERYTHING = [f"4.{n}" for n in range(1, 10)]


@submission(right=EVERYTHING)
def honest_and_right(book):
    return classes.answered(book, classes.solutions())


@submission(right=())
def honest_and_empty(book):
    return copy.deepcopy(book)


@submission(right=EVERYTHING)
def honest_with_notes_of_its_own(book):
    book = classes.answered(book, classes.solutions())
    book.cells.insert(6, nbformat.v4.new_code_cell("import torch\nx = torch.ones(3)\nprint(x.exp())"))
    return book


@submission(right=EVERYTHING)
def honest_with_the_answers_before_everything(book):
    book = classes.answered(book, classes.solutions())
    book.cells.insert(0, nbformat.v4.new_code_cell("import torch\nimport torch.nn.functional as F"))
    return book


def honest_but(number, text):
    SUBMISSIONS[f"honest_but_wrong_in_{number}"] = (
        lambda book: classes.answered(book, classes.solutions() | {number: text}),
        set(EVERYTHING) - {number},
        set(),
    )


honest_but("4.1", "def log_sum_exp(scores):\n    return scores.exp().sum(dim=1).log()")
honest_but("4.2", "def nll(log_p, target):\n    return log_p.gather(1, target[:, None]).mean()")
honest_but("4.3", "def cross_entropy(logits, target, ignore_index):\n    return logits.mean()")
honest_but(
    "4.4",
    "def bce_from_logits(logits, target):\n    p = logits.sigmoid()\n    return -(target * p.log()).mean()",
)
honest_but("4.5", "def huber(prediction, target, delta):\n    return (prediction - target).abs().mean()")
honest_but("4.8", "def both_ways(a, b, temperature):\n    raise ValueError('no idea')")
honest_but("4.9", "def rescue(train):\n    return train(F.binary_cross_entropy_with_logits) + 2.0")
