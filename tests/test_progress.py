"""Progress is kept whatever happens to disk or kernel, and is never in the way of a check; hints in time."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import lessons
import matplotlib
import pytest
from matplotlib import pyplot
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, start_new_kernel

from course_utils import attempts, check, exercises, plotting, progress, progress_report
from course_utils.__main__ import main
from course_utils.checks import exercise as declare
from course_utils.checks.exercise import case, mistake
from course_utils.checks.feedback import passes, verdict
from course_utils.errors import CourseError

ROOT = pathlib.Path(__file__).parent.parent
TRIPLED = "You tripled it."
CATALOGUE = {0: ("Start", {"0.1": "First", "0.2": "Second"}), 7: ("Test", {"7.1": "Twice", "7.2": "Thrice"})}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """One exercise, 7.1, and a kernel that has counted nothing."""
    monkeypatch.setattr(declare, "declared", {})
    monkeypatch.setattr(exercises, "lessons", dict)
    monkeypatch.setattr(attempts, "_in_memory", {})
    wrong = mistake(TRIPLED, tripled)
    cases = [case("one", 1), case("two", 2)]
    declare.exercise("7.1", "Twice", reference=lambda x: 2 * x, cases=cases, mistakes=[wrong])


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The folder of progress; it does not exist yet."""
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress"))
    return tmp_path / "progress"


def doubled(x):
    return x + x


def tripled(x):
    return 3 * x


def stub(x):
    raise NotImplementedError


def entry(passed=None, number=1, failed=0, last="2026-11-02T09:00:00+00:00", **mistakes):
    return {
        "attempts": number,
        "failed": failed,
        "first": "2026-11-01T09:00:00+00:00",
        "last": last,
        "passed": last if passed else None,
        "mistakes": mistakes,
    }


def start(source, folder, **options):
    """Start a Python that knows `attempts`, with its progress in `folder`."""
    environment = os.environ | {"COURSE_PROGRESS": str(folder)}
    command = [sys.executable, "-c", f"from course_utils import attempts\n{source}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options)


# What is recorded -------------------------------------------------------------------------------------------


def test_an_attempt_is_recorded_with_its_mistake(folder, capsys):
    for answer in (tripled, abs, doubled, tripled):
        check("7.1", answer)
    (number, kept), *others = attempts.read().items()
    assert (number, others) == ("7.1", [])
    assert (kept["attempts"], kept["failed"], kept["mistakes"]) == (4, 1, {TRIPLED: 2})
    assert kept["first"] <= kept["passed"] <= kept["last"]
    assert kept["first"].endswith("+00:00")
    assert "✗ 7.1 Twice: You tripled it.\n" in capsys.readouterr().out


def test_a_mistake_is_known_below_what_the_answer_printed(folder):
    def talks(x):
        print("three times")
        return 3 * x

    check("7.1", talks)
    assert attempts.read()["7.1"]["mistakes"] == {TRIPLED: 1}


def test_the_first_right_answer_is_remembered(folder, monkeypatch):
    attempts.record("7.1", True)
    path = folder / attempts.FILE
    path.write_text(path.read_text(encoding="utf8").replace('"20', '"19'), encoding="utf8")
    before = attempts.read()["7.1"]
    attempts.record("7.1", False)
    attempts.record("7.1", True)
    after = attempts.read()["7.1"]
    assert (after["first"], after["passed"]) == (before["first"], before["passed"])
    assert after["last"] > before["last"]


def test_what_is_no_attempt_is_not_recorded(folder, capsys):
    def broken(x):
        raise RuntimeError("not here")

    declare.exercise("7.2", "Broken", reference=broken, cases=[case("one", 1)], mistakes=[])
    check("7.1", stub)
    check("7.1", ...)
    check("7.1", tripled, record=False)
    check("7.2", doubled)
    with pytest.raises(LookupError):
        check("7.3", doubled)
    verdict("7.1", tripled)
    passes("7.1", doubled, 1.0)
    assert not folder.exists()
    assert capsys.readouterr().out.count("○") == 3


def test_no_answer_is_stored(folder, capsys):
    def wrong(x):
        secret = "pineapple"
        print(secret)
        raise ValueError(secret)

    for answer in (wrong, lambda x: "pineapple", "pineapple"):
        check("7.1", answer)
    assert "pineapple" in capsys.readouterr().out
    assert attempts.read()["7.1"]["attempts"] == 3
    for path in folder.iterdir():
        assert "pineapple" not in path.read_text(encoding="utf8")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_the_file_is_the_user_s_alone(folder):
    attempts.record("7.1", True)
    assert (folder / attempts.FILE).stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


# Hints ------------------------------------------------------------------------------------------------------


def hint(answer, capsys):
    """The hint that a check points to, "" for none."""
    check("7.1", answer)
    printed = capsys.readouterr().out
    assert printed.startswith(("✓", "✗", "○"))
    last = printed.splitlines()[-1]
    return last.partition("open ")[2].removesuffix(" below.")


@pytest.mark.parametrize("kept", [True, False])
def test_two_failures_in_a_row_point_to_hint_1_and_four_to_hint_2(folder, monkeypatch, capsys, kept):
    if not kept:
        monkeypatch.setenv("COURSE_PROGRESS", "off")
    answers = [tripled, abs, tripled, stub, tripled, tripled, doubled, doubled, tripled, abs]
    expected = ["", "Hint 1", "Hint 1", "", "Hint 2", "Hint 2", "", "", "", "Hint 1"]
    assert [hint(answer, capsys) for answer in answers] == expected
    assert folder.exists() == kept


def test_failures_before_a_restart_count(folder, capsys):
    start("attempts.record('7.1', False)", folder).wait(60)
    assert hint(tripled, capsys) == "Hint 1"
    start("attempts.record('7.1', True)", folder).wait(60)
    assert hint(tripled, capsys) == ""


# Kernels at once, and killed --------------------------------------------------------------------------------


def test_kernels_at_once_lose_nothing(folder):
    source = """
attempts.WAIT = 120  # here none gives up, however busy the machine is
for turn in range(50):
    attempts.record("7.1", False, "all")
    attempts.record("8.WHO", True)
"""
    programs = [start(source.replace("WHO", who), folder) for who in "012"]
    assert [program.wait(300) for program in programs] == [0, 0, 0]
    kept = attempts.read()
    counts = {number: (found["attempts"], found["failed"]) for number, found in kept.items()}
    assert counts == {"7.1": (150, 150), "8.0": (50, 0), "8.1": (50, 0), "8.2": (50, 0)}
    assert kept["7.1"]["mistakes"] == {"all": 150}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_while_writing(folder):
    """What was recorded stays, the file is whole, and the next kernel goes on."""
    folder.mkdir()
    many = {f"9.{i}": entry(**{f"explanation {j} of {i}": 1 for j in range(20)}) for i in range(1000)}
    (folder / attempts.FILE).write_text(json.dumps({"format": 1, "exercises": many}), encoding="utf8")
    source = "while True: print(attempts.record('7.1', False), flush=True)"
    recorded = 0
    for round in range(5):
        program = start(source, folder)
        recorded = int(program.stdout.readline())  # then it writes the next ones
        time.sleep(0.05 + 0.03 * round)
        program.send_signal(signal.SIGKILL)
        recorded = int(([recorded] + program.stdout.read().split())[-1])
        program.wait(60)
        kept = attempts.read()
        assert recorded <= kept["7.1"]["attempts"] <= recorded + 1
        assert len(kept) == 1001


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_between_writing_and_renaming(folder):
    attempts.record("7.1", False)
    before = (folder / attempts.FILE).read_bytes()
    kill = "import os, signal\nos.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)\n"
    assert start(f"{kill}attempts.record('7.1', False)", folder).wait(60) == -signal.SIGKILL
    assert (folder / attempts.FILE).read_bytes() == before
    assert attempts.record("7.1", False) == 2
    assert sorted(os.listdir(folder)) == [attempts.FILE, "progress.lock"]


# What is wrong with a disk is not the learner's trouble -----------------------------------------------------


def test_a_lock_that_another_holds_is_not_waited_for(folder, capsys):
    attempts.record("7.1", False)
    before = (folder / attempts.FILE).read_bytes()
    hold = "with attempts._locked(attempts.folder()): print('held', flush=True), input()"
    program = start(hold, folder, stdin=subprocess.PIPE)
    assert program.stdout.readline() == "held\n"
    begin = time.monotonic()
    check("7.1", doubled)
    assert time.monotonic() - begin < 30  # a second, and what a busy machine makes of it
    program.communicate("\n", timeout=60)
    assert capsys.readouterr().out == "✓ 7.1 Twice: right on all 2 inputs\n"
    assert (folder / attempts.FILE).read_bytes() == before
    check("7.1", doubled)
    assert attempts.read()["7.1"]["passed"]


def test_a_folder_that_cannot_be(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("mine", encoding="utf8")
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file"))
    assert [hint(tripled, capsys) for _ in range(2)] == ["", "Hint 1"]
    assert (tmp_path / "file").read_text(encoding="utf8") == "mine"
    assert "progress cannot be kept in " in attempts.unwritable()
    with pytest.raises(CourseError, match="cannot be read"):
        progress()


@pytest.mark.parametrize(
    "why", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")]
)
def test_a_folder_that_cannot_be_written(folder, monkeypatch, capsys, why):
    attempts.record("7.1", False)
    before = (folder / attempts.FILE).read_bytes()
    real = os.open

    def refuse(path, flags, *args, **options):
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(folder)):
            raise why
        return real(path, flags, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        check("7.1", doubled)
        assert why.strerror in attempts.unwritable()
        with pytest.raises(CourseError, match=why.strerror):
            attempts.reset()
    assert capsys.readouterr().out == "✓ 7.1 Twice: right on all 2 inputs\n"
    assert (folder / attempts.FILE).read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_full_disk(folder):
    """A limit on the size of files stands for it: the write fails when some of it is done."""
    folder.mkdir()
    many = {f"9.{i}": entry() for i in range(500)}
    (folder / attempts.FILE).write_text(json.dumps({"format": 1, "exercises": many}), encoding="utf8")
    before = (folder / attempts.FILE).read_bytes()
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    program = start(f"{limit}print([attempts.record('7.1', False) for _ in range(3)])", folder)
    assert program.communicate(timeout=60)[0] == "[1, 2, 3]\n"
    assert (folder / attempts.FILE).read_bytes() == before
    assert sorted(os.listdir(folder)) == [attempts.FILE, "progress.lock"]


BAD = {
    "empty": b"",
    "cut off": b'{"format": 1, "exercises": {"7.1"',
    "a list": b"[]",
    "no utf8": b"\xff\xfe\x00",
    "another format": b'{"format": 2, "exercises": {}}',
    "an entry that lacks something": b'{"format": 1, "exercises": {"7.1": {"attempts": 1}}}',
    "a number that is none": json.dumps(
        {"format": 1, "exercises": {"7.1": entry() | {"attempts": "x"}}}
    ).encode(),
    "deep": b"[" * 100_000,
    "huge": b" " * (attempts.LARGEST + 1),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_file_that_is_not_ours_is_kept(folder, capsys, content):
    folder.mkdir()
    (folder / attempts.FILE).write_bytes(content)
    assert [hint(answer, capsys) for answer in (tripled, tripled, doubled)] == ["", "Hint 1", ""]
    assert (folder / attempts.FILE).read_bytes() == content
    assert "course_utils progress --reset" in attempts.unwritable()
    assert main(["progress"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "is not a file of this course's progress" in said.err
    assert main(["progress", "--reset"]) == 0
    kept = pathlib.Path(capsys.readouterr().out.strip().partition(" is in ")[2])
    assert kept.parent == folder and kept.read_bytes() == content
    check("7.1", doubled)
    assert attempts.read()["7.1"]["attempts"] == 1


def test_nothing_that_goes_wrong_with_recording_reaches_the_learner(folder, monkeypatch, capsys):
    for error in (RuntimeError, MemoryError, UnicodeError):
        monkeypatch.setattr(attempts, "_write", lambda *_, error=error: (_ for _ in ()).throw(error("oh")))
        check("7.1", doubled)
    assert capsys.readouterr().out == "✓ 7.1 Twice: right on all 2 inputs\n" * 3


# Where it is kept -------------------------------------------------------------------------------------------


def test_off_keeps_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for word in ("off", "OFF"):
        monkeypatch.setenv("COURSE_PROGRESS", word)
        check("7.1", doubled)
        assert attempts.folder() is None and attempts.read() == {} and attempts.unwritable() == ""
    assert main(["progress"]) == 0
    assert "Progress is off" in capsys.readouterr().out
    for wish in (["--reset"], ["--export", "mine.json"]):
        assert main(["progress", *wish]) == 1
        assert "Progress is off: unset COURSE_PROGRESS" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """No wish, and a user's data folder of its own."""
    monkeypatch.delenv("COURSE_PROGRESS")
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: tmp_path / "data" / name)
    monkeypatch.setattr(attempts, "DRIVE", tmp_path / "MyDrive")
    return tmp_path


def test_the_user_s_data_folder(elsewhere):
    attempts.record("7.1", True)
    assert (elsewhere / "data" / attempts.NAME / attempts.FILE).exists()


def test_the_real_one_is_outside_the_repository(monkeypatch):
    monkeypatch.delenv("COURSE_PROGRESS")
    assert attempts.folder().is_absolute() and not attempts.folder().is_relative_to(ROOT)


@pytest.mark.parametrize("sign", ["module", "variable"])
def test_on_colab_it_is_on_drive_once_that_is_mounted(elsewhere, monkeypatch, sign):
    drive = elsewhere / "MyDrive"
    drive.mkdir()
    assert not attempts.folder().is_relative_to(drive)  # a folder of that name makes no Colab
    if sign == "module":
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    else:
        monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert attempts.record("7.1", False) == 1
    assert os.listdir(drive / attempts.NAME) == [attempts.FILE]  # the lock is the runtime's
    monkeypatch.setattr(attempts, "_in_memory", {})  # another runtime, with nothing but Drive
    assert attempts.record("7.1", False) == 2
    drive.rename(elsewhere / "unmounted")
    assert attempts.folder() == elsewhere / "data" / attempts.NAME
    monkeypatch.setenv("COURSE_PROGRESS", str(elsewhere / "named"))
    assert attempts.folder() == elsewhere / "named"


@pytest.fixture
def before_and_after(elsewhere, monkeypatch):
    """A runtime of Colab: two attempts before Drive is mounted, and an older one on Drive; the local file."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    attempts.record("7.1", False, TRIPLED)
    attempts.record("7.2", True)
    drive = elsewhere / "MyDrive" / attempts.NAME
    drive.mkdir(parents=True)
    old = {"7.1": entry(number=2, failed=2, **{TRIPLED: 1})}
    (drive / attempts.FILE).write_text(json.dumps({"format": 1, "exercises": old}), encoding="utf8")
    return elsewhere / "data" / attempts.NAME / attempts.FILE


def test_mounting_drive_later_takes_over_what_was_noted_before(before_and_after):
    local = json.loads(before_and_after.read_text(encoding="utf8"))["exercises"]
    for _ in range(2):
        kept = attempts.read()
        assert kept["7.2"] == local["7.2"]
        assert kept["7.1"] == {
            "attempts": 3,
            "failed": 3,
            "first": "2026-11-01T09:00:00+00:00",
            "last": local["7.1"]["last"],
            "passed": None,
            "mistakes": {TRIPLED: 2},
        }
    assert not before_and_after.exists()
    assert attempts.record("7.1", False) == 4 and attempts.read()["7.1"]["attempts"] == 4


def test_recording_and_resetting_take_over_too(before_and_after):
    assert attempts.record("7.1", False) == 4
    attempts.reset()
    assert attempts.read() == {} and not before_and_after.exists()


def test_interrupted_it_takes_nothing_over_twice(before_and_after, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", interrupt)
        with pytest.raises(KeyboardInterrupt):
            attempts.read()
    assert before_and_after.exists()
    assert attempts.read()["7.1"]["attempts"] == 3 and not before_and_after.exists()


def test_a_local_file_that_cannot_be_read_stays_where_it_is(before_and_after):
    before_and_after.write_text("mine", encoding="utf8")
    assert attempts.record("7.1", True) == 0
    assert attempts.read()["7.1"]["attempts"] == 3
    assert before_and_after.read_text(encoding="utf8") == "mine"


def test_two_files_of_one_exercise_as_one():
    passed = entry(passed=True, number=3, last="2026-11-03T09:00:00+00:00")
    later = entry(number=2, failed=2, last="2026-11-04T09:00:00+00:00", **{TRIPLED: 1})
    assert attempts._together(later, passed) == later | {"attempts": 5, "passed": passed["passed"]}
    again = later | {"passed": "2026-11-04T08:00:00+00:00", "failed": 1}
    found = attempts._together(passed | {"failed": 9}, again)
    assert (found["failed"], found["passed"]) == (1, passed["passed"])


def test_a_kernel_of_nbval_keeps_nothing():
    manager, client = start_new_kernel(kernel_name=CURRENT_ENV_KERNEL_NAME, stderr=subprocess.DEVNULL)
    printed = []
    try:
        client.execute_interactive(
            "from course_utils import attempts; print('kept in', attempts.folder())",
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
            timeout=120,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "kept in None" in "".join(printed)


# Reset and export -------------------------------------------------------------------------------------------


def test_reset_keeps_the_old_file(folder, capsys):
    assert main(["progress", "--reset"]) == 0
    assert "no progress to reset" in capsys.readouterr().out
    contents = []
    for number in ("7.1", "7.2"):
        attempts.record(number, False)
        contents.append((folder / attempts.FILE).read_bytes())
        assert main(["progress", "--reset"]) == 0
    kept = sorted(folder.glob("progress_until_*.json"))
    assert [path.read_bytes() for path in kept] == contents
    assert attempts.read() == {} and attempts.record("7.1", False) == 1


def test_export_writes_what_the_docstring_says(folder, tmp_path, capsys):
    attempts.record("7.1", False, TRIPLED)
    path = tmp_path / "mine.json"
    assert main(["progress", "--export", str(path)]) == 0
    assert capsys.readouterr().out == f"1 exercises written to {path}\n"
    found = json.loads(path.read_text(encoding="utf8"))
    assert found == {"format": 1, "exercises": attempts.read()}
    shown = attempts.__doc__.partition("{\n")[2].rpartition("}")[0]
    assert all(f'"{name}"' in shown for name in [*found, *found["exercises"]["7.1"]])
    before = path.read_bytes()
    attempts.record("7.1", True)
    for name in (path, tmp_path / "no" / "where.json", ""):
        assert main(["progress", "--export", str(name)]) == 1
        assert "name another file" in capsys.readouterr().err
    assert path.read_bytes() == before


# The report -------------------------------------------------------------------------------------------------


def test_the_catalogue_is_what_the_notebooks_have(monkeypatch):
    monkeypatch.undo()
    found = exercises.catalogue()
    for path in lessons.paths():
        lesson = lessons.read(path)
        title = lesson.cells[0].source.splitlines()[0].partition(" · ")[2]
        cards = {card.number: card.title for card in lessons.exercises(lesson)}
        assert found.pop(int(lesson.number)) == (title, cards)
    assert found == {}


KEPT = {
    "0.1": entry(passed=True, number=3, **{"You began at 1.": 2, "Something else.": 1}),
    "7.2": entry(number=4, last="2026-11-03T09:00:00+00:00", **{"You tripled  it,\nthrice.": 3}),
    "99.1": entry(passed=True, number=50, **{"From a lesson that is gone.": 50}),
}


def test_the_table():
    assert progress_report.table(KEPT, CATALOGUE) == (
        "lesson                          done     attempts\n"
        "00 Start                         1 of  2          3\n"
        "07 Test                          0 of  2          4\n"
        "\n"
        "Exercises done: 1 of 4. Next: 7.1 Twice\n"
        "\n"
        "Mistakes made most:\n"
        "  3 × 7.2: You tripled it, thrice.\n"
        "  2 × 0.1: You began at 1.\n"
        "  1 × 0.1: Something else."
    )


DONE = entry(passed=True)
LATER = entry(passed=True, last="2026-11-04T09:00:00+00:00")


@pytest.mark.parametrize(
    ("kept", "number"),
    [
        ({}, "0.1"),
        ({"0.1": DONE}, "0.2"),
        ({"0.1": entry()}, "0.1"),
        ({"0.2": DONE}, "0.1"),
        ({"0.1": DONE, "0.2": DONE}, "7.1"),
        ({"0.1": DONE, "7.1": LATER}, "7.2"),
        ({"0.1": LATER, "7.1": DONE}, "0.2"),
        ({"0.1": DONE, "7.1": LATER, "7.2": DONE}, "0.2"),
        ({"0.1": DONE, "0.2": DONE, "7.1": DONE, "7.2": DONE}, ""),
    ],
)
def test_what_is_next(kept, number):
    assert progress_report.following(kept, CATALOGUE) == number


def test_a_whole_course():
    kept = dict.fromkeys(["0.1", "0.2", "7.1", "7.2"], DONE)
    assert progress_report.summary(kept, CATALOGUE) == "Exercises done: 4 of 4, the whole course."


def test_the_picture_has_a_bar_for_every_lesson():
    settings = dict(matplotlib.rcParams)
    figure = progress_report.picture(KEPT, CATALOGUE)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["00 Start", "07 Test"]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert widths == {"done": [1, 0], "tried, not done yet": [0, 1], "to do": [1, 1]}
    assert figure.get_suptitle() == progress_report.summary(KEPT, CATALOGUE)
    assert dict(matplotlib.rcParams) == settings
    pyplot.close(figure)


def test_in_a_notebook_the_picture_follows_the_table(folder, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(progress_report, "catalogue", lambda: CATALOGUE)
    monkeypatch.setattr(plotting, "show", lambda fig, alt: shown.append((fig, alt)))
    attempts.record("7.1", True)
    progress()
    assert shown == []  # a terminal shows no picture
    monkeypatch.setattr(progress_report, "_in_a_notebook", lambda: True)
    progress()
    ((figure, alt),) = shown
    assert alt == "Exercises done: 1 of 4. Next: 7.2 Thrice"
    assert f"\n{alt}\n" in capsys.readouterr().out
    pyplot.close(figure)


def test_the_command(folder):
    attempts.record("4.2", False, "You forgot ½.")
    command = [sys.executable, "-m", "course_utils", "progress"]
    environment = os.environ | {"PYTHONIOENCODING": "utf8"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf8", timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "04 Losses " in done.stdout and "  1 × 4.2: You forgot ½." in done.stdout
    assert f"Kept in {folder / attempts.FILE}" in done.stdout


def test_the_doctor_says_where(folder, monkeypatch, capsys, tmp_path):
    from course_utils import doctor

    assert ("ok", f"progress is kept in {folder}") in list(doctor._machine_facts(set()))
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    assert ("ok", "progress is off") in list(doctor._machine_facts(set()))
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file"))
    status, text = list(doctor._machine_facts(set()))[-1]
    assert status == "warn" and text.endswith("name another folder in COURSE_PROGRESS")
