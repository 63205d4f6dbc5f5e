"""Collect what students send, in any mix, into nbgrader's `submitted/STUDENT/ASSIGNMENT/`.

Whose a notebook is: as the roster says (`--roster`, a CSV with the columns `id` and `file`; a file's name, or
its path in the folder or zip). Without a roster,

1. if the notebooks lie in more than one folder, the folder that it lies in (the one above, if that is called
   like the assignment); of Moodle's `Anna Gray_12345_assignsubmission_file_` the part in front;
2. otherwise what its file's name has beside the assignment's: `04_losses_anna (1).ipynb` is `anna`.

Of the id, letters (of any script), digits and `.@-` stay, everything else becomes `_`. Of two notebooks of
one student the newer is taken (the file's time; then the larger number in `(1)`).

Nothing that was sent is unpacked, run or copied whole: a notebook is read as JSON, within limits, and its
answers are put into the released one, see `rebuild`. All that is not used is listed with the reason.
"""

import csv
import dataclasses
import datetime
import io
import os
import pathlib
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator

from course_utils.classroom import files, rebuild
from course_utils.errors import CourseError

FILES = 5000  # in a folder or zip; more is refused
SIZE = 30_000_000  # bytes of one notebook
TOTAL = 2_000_000_000  # bytes of all of them
MOODLE = "_assignsubmission_file"
COLUMNS = ("assignment", "file", "student", "used", "exercise", "note")
COPY = re.compile(r" ?\((\d+)\)$|-copy(\d*)$|^copy (?:\d+ )?of |^kopie von |[ _]copy$", re.IGNORECASE)


@dataclasses.dataclass
class HandIn:
    """One file that was sent. `problem` says why it is not used, "" if it is."""

    file: str  # its path in the folder or zip
    time: float  # seconds since 1970
    problem: str = ""
    student: str = ""
    rebuilt: rebuild.Rebuilt | None = None


def collect(
    sent: pathlib.Path, course: pathlib.Path, assignment: str, roster: pathlib.Path | None = None
) -> list[HandIn]:
    """Collect the notebooks in `sent`, a folder or a zip; everything that was in it, used or not.

    Writes the rebuilt notebooks (those that are new or have changed), nbgrader's `timestamp.txt`, and
    `collected.csv` in the folder `course`, in which the rows of other assignments stay.

    Raises `CourseError` where the assignment was not generated, `sent` cannot be read or holds too much, or
    the roster is not as described above.
    """
    import nbformat

    path = course / "release" / assignment / f"{assignment}.ipynb"
    if pathlib.PurePath(assignment).name != assignment or not path.exists():
        raise CourseError(
            f"there is no {path}: type  cd {course} && nbgrader generate_assignment {assignment} --create  "
            "(an assignment is called like its notebook, such as 04_losses)"
        )
    released = nbformat.read(path, as_version=4)
    known = _roster(roster)
    hand_ins = []
    for hand_in, content in _files(sent):
        hand_ins.append(hand_in)
        if not hand_in.problem:
            try:
                cells = rebuild.read(content.decode("utf-8-sig"))
                hand_in.rebuilt = rebuild.rebuild(released, cells)
            except UnicodeDecodeError:
                hand_in.problem = "it is not UTF-8, so no notebook"
            except rebuild.Unusable as error:
                hand_in.problem = str(error)
    _tell_whose(hand_ins, assignment, known)
    _keep_the_newest(hand_ins)
    for hand_in in hand_ins:
        if not hand_in.problem:
            _store(course / "submitted" / hand_in.student / assignment, assignment, hand_in)
    _write_list(course / "collected.csv", assignment, hand_ins)
    return hand_ins


# What was sent --------------------------------------------------------------------------------------------


def _files(sent: pathlib.Path) -> Iterator[tuple[HandIn, bytes]]:
    """Every file in a folder or zip, with its content unless there is a problem with it."""
    if sent.is_dir():
        source = _in_folder(sent)
    elif zipfile.is_zipfile(sent):
        source = _in_zip(sent)
    else:
        raise CourseError(f"{sent} is neither a folder nor a zip: type the path of what your students sent")
    total = 0
    for count, (hand_in, read) in enumerate(source, 1):
        if count > FILES:
            raise CourseError(f"{sent} holds more than {FILES:,} files: type the folder of one assignment")
        content = b""
        hand_in.problem = hand_in.problem or _not_wanted(hand_in.file)
        if not hand_in.problem:
            try:
                content = read(SIZE + 1)
            except (
                OSError,
                RuntimeError,
                ValueError,
                NotImplementedError,
                EOFError,
                zlib.error,
                zipfile.BadZipFile,
            ):
                hand_in.problem = "it cannot be read: damaged, encrypted or not permitted"
            if len(content) > SIZE:
                hand_in.problem, content = f"it is larger than {SIZE // 1_000_000} MB", b""
        total += len(content)
        if total > TOTAL:
            raise CourseError(f"{sent} holds more than {TOTAL // 10**9} GB of notebooks: collect it in parts")
        yield hand_in, content


def _not_wanted(name):
    parts = name.split("/")
    if ".ipynb_checkpoints" in parts:
        return "a checkpoint of JupyterLab, not what was handed in"
    if any(part.startswith((".", "__MACOSX")) for part in parts):
        return "a hidden file of the system"
    if name.lower().endswith((".zip", ".7z", ".rar", ".tar", ".gz")):
        return "an archive inside: unpack it and collect its folder"
    return "" if name.lower().endswith(".ipynb") else "not a notebook (.ipynb)"


def _in_folder(folder):
    for place, inner, names in os.walk(folder):
        inner.sort()
        links = [name for name in inner if os.path.islink(os.path.join(place, name))]
        for name in sorted(names + links):
            path = pathlib.Path(place, name)
            state = path.lstat()
            problem = "" if stat.S_ISREG(state.st_mode) else "a link or a special file"
            name = rebuild.printable(path.relative_to(folder).as_posix())
            yield HandIn(name, state.st_mtime, problem), _reader(path.open, "rb")


def _in_zip(path):
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CourseError(f"{path} is damaged ({error}): unpack it and type the folder's name") from error
    with archive:
        if len(archive.infolist()) > FILES:
            raise CourseError(f"{path} holds more than {FILES:,} files: type the folder of one assignment")
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = info.filename.replace("\\", "/")
            if not info.flag_bits & 0x800:  # not marked as UTF-8, which it often is all the same
                try:
                    name = name.encode("cp437").decode("utf8")
                except UnicodeError:
                    pass
            problem = ""
            if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
                problem = "its path leads out of the zip"
            elif stat.S_ISLNK(info.external_attr >> 16):
                problem = "a link or a special file"
            try:
                time = datetime.datetime(*info.date_time, tzinfo=datetime.UTC).timestamp()
            except ValueError:
                time = 0.0
            yield HandIn(rebuild.printable(name), time, problem), _reader(archive.open, info)


def _reader(opened, *arguments):
    """A function that reads at most so many bytes: what a zip says of its sizes is not believed."""

    def read(most):
        with opened(*arguments) as file:
            return file.read(most)

    return read


# Whose it is ----------------------------------------------------------------------------------------------


def _roster(path):
    """{file's name or path, as compared: id}, or None without a roster."""
    if path is None:
        return None
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        return {_same(row["file"].strip()): row["id"].strip() for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise CourseError(
            f"the roster {path} cannot be read ({type(error).__name__}). It is a CSV in UTF-8: first the "
            "line  id,file  and then one for each student, such as  anna,04_losses anna.ipynb"
        ) from None


def _same(text):
    return unicodedata.normalize("NFC", text).casefold()


def _tell_whose(hand_ins, assignment, known):
    """Set the student of every usable hand-in, or its problem."""
    usable = [hand_in for hand_in in hand_ins if not hand_in.problem]
    folders = {_folder(hand_in.file, assignment) for hand_in in usable}
    for hand_in in usable:
        if known is not None:
            name = hand_in.file.rpartition("/")[2]
            found = known.get(_same(hand_in.file), known.get(_same(name), ""))
        else:
            folder, own = _folder(hand_in.file, assignment), _left_of_name(hand_in.file, assignment)
            sure = len(folders) > 1 or MOODLE in folder or not own
            found = folder if folder and sure else own
        hand_in.student = student_id(found)
        if not hand_in.student:
            why = (
                "the roster has no such file"
                if known is not None
                else "neither folder nor name says whose it is"
            )
            hand_in.problem = f"{why}: name it in a roster (--roster)"


def student_id(text: str) -> str:
    """What nbgrader calls a student: letters, digits and `.@-` of a name, all else `_`; at most 60."""
    text = unicodedata.normalize("NFC", text.split(MOODLE)[0])
    return re.sub(r"[^\w.@-]+", "_", text)[:60].strip("._-")


def _folder(file, assignment):
    """The name of the folder that a file lies in, or of the one above if that is the assignment's."""
    folders = file.split("/")[:-1]
    while folders and _same(folders[-1]) == _same(assignment):
        folders.pop()
    return folders[-1] if folders else ""


def _left_of_name(file, assignment):
    """What a file's name has beside the assignment's name and the marks of copies."""
    stem = unicodedata.normalize("NFC", file.rpartition("/")[2].rpartition(".")[0])
    while (shorter := COPY.sub("", stem).strip()) != stem:
        stem = shorter
    words = re.escape(assignment).replace("_", "[ _-]+")
    return re.sub(words, "", stem, flags=re.IGNORECASE).strip(" _-.")


def _keep_the_newest(hand_ins):
    """Of several usable hand-ins of one student leave the newest; the others get a problem that names it."""
    newest = {}
    for hand_in in hand_ins:
        if not hand_in.problem:
            other = newest.setdefault(_same(hand_in.student), hand_in)
            if other is not hand_in:
                first, last = sorted((other, hand_in), key=_age)
                first.problem = f"an older one of {last.student}: {last.file} was taken"
                newest[_same(hand_in.student)] = last


def _age(hand_in):
    copy = COPY.search(hand_in.file.rpartition("/")[2].rpartition(".")[0])
    number = next((int(group) for group in copy.groups() if group), 1) if copy else 0
    return hand_in.time, number, hand_in.file


# What is written ------------------------------------------------------------------------------------------


def _store(folder, assignment, hand_in):
    """Write a rebuilt notebook and its time for nbgrader, unless the same is there already."""
    import nbformat

    path, text = folder / f"{assignment}.ipynb", nbformat.writes(hand_in.rebuilt.notebook)
    if not path.exists() or path.read_text(encoding="utf8") != text:
        files.write(path, text)
        time = datetime.datetime.fromtimestamp(hand_in.time, datetime.UTC)
        files.write(folder / "timestamp.txt", time.strftime("%Y-%m-%d %H:%M:%S UTC\n"))


def _write_list(path, assignment, hand_ins):
    """Write `collected.csv`: a row for each file, and one for each thing to know about it."""
    old = []
    if path.exists():
        with open(path, encoding="utf8", newline="") as file:
            old = [row for row in csv.DictReader(file) if row.get("assignment") != assignment]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in _rows(assignment, hand_ins)]
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _no_formula(value) for key, value in row.items()} for row in old + rows)
    files.write(path, out.getvalue())


def _rows(assignment, hand_ins):
    for hand_in in hand_ins:
        used = "no" if hand_in.problem else "yes"
        head = (assignment, hand_in.file, hand_in.student, used)
        yield (*head, "", hand_in.problem or summary(hand_in))
        for exercise, note in hand_in.rebuilt.notes if hand_in.rebuilt and not hand_in.problem else ():
            yield (*head, exercise, note)


def _no_formula(value):
    """A cell that no spreadsheet takes for a formula, whatever a student called a file."""
    return f"'{value}" if value and value[0] in "=+-@\t" else value


def summary(hand_in: HandIn) -> str:
    """How many exercises are answered, and which are open."""
    rebuilt = hand_in.rebuilt
    left = f", open: {' '.join(rebuilt.open)}" if rebuilt.open else ""
    return f"{len(rebuilt.answered)} of {len(rebuilt.answered) + len(rebuilt.open)} answered{left}"
