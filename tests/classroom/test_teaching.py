"""TEACHING.md: every command in it can be typed, and every file that it links is there."""

import pathlib
import re
import shlex

import pytest

from course_utils import __main__ as command_line

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "TEACHING.md").read_text(encoding="utf8")
FENCES = "\n".join(re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
TYPED = re.findall(r"^python -m course_utils (.+)$", FENCES, re.MULTILINE)
INLINE = re.findall(r"`python -m course_utils ([^`]+)`", TEXT)


@pytest.mark.parametrize("typed", TYPED + INLINE)
def test_a_command_parses(typed):
    command_line.parser().parse_args(shlex.split(typed))


def test_all_class_commands_are_told():
    told = {shlex.split(typed)[1] for typed in TYPED}
    assert told == {"schedule", "slides", "bundle", "release", "collect", "grade"}


def test_a_wrong_command_would_not_parse():
    with pytest.raises(SystemExit):
        command_line.parser().parse_args(["class", "release", "--lesson-numbers", "04"])


def test_its_links_lead_somewhere_and_the_readme_leads_to_it():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", TEXT)
    assert links and all((ROOT / link).exists() for link in links)
    assert "](TEACHING.md)" in (ROOT / "README.md").read_text(encoding="utf8")
