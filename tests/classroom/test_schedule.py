"""The run sheets: no minute and no exercise is lost, nothing overlaps, and nobody sits for too long."""

import re

import nbformat
import pytest

from course_utils import __main__ as commands
from course_utils.classroom import lessons, schedule

NAMES = sorted(schedule.PLANS)


@pytest.fixture(scope="module")
def notebooks():
    chosen = {number for plan in schedule.PLANS.values() for day in plan.days for number in day}
    return {number: nbformat.read(lessons.path(number), as_version=4) for number in chosen}


def test_the_minutes_of_a_lesson_are_all_there(notebooks):
    for number, notebook in notebooks.items():
        items = schedule.items(number)
        assert abs(sum(item.minutes for item in items) - sum(lessons.minutes(notebook))) <= len(items)
        exercises = [exercise for item in items for exercise in item.exercises]
        assert exercises == [card.number for card in lessons.cards(notebook)]


@pytest.mark.parametrize("name", NAMES)
def test_sessions_hold_the_core_in_order_and_do_not_overlap(name):
    plan = schedule.PLANS[name]
    for day in plan.days:
        taught = [item for number in day for item in schedule.items(number) if not item.home]
        sessions = schedule.sessions(taught, plan)
        held = [item for session in sessions for item in session.items]
        assert held[: len(taught)] == taught and sum(i.minutes for i in held[len(taught) :]) == plan.lab
        assert not any("Deeper" in item.title or item.title == "On your own" for item in taught)
        for session in sessions:
            assert 0 < session.minutes <= schedule.LONGEST
            assert 0 <= session.end - session.start - session.minutes < 5
        if plan.breaks:
            pauses = [b.start - a.end for a, b in zip(sessions, sessions[1:], strict=False)]
            assert min(pauses) >= schedule.BREAK and pauses.count(schedule.LUNCH) == 1
            assert sessions[-1].end <= 16 * 60
        else:
            assert len(sessions) <= 2  # meetings a week


@pytest.mark.parametrize("name", NAMES)
def test_what_a_lesson_builds_on_came_before_or_is_named_in_the_reason(name, notebooks):
    plan, before = schedule.PLANS[name], set()
    for number in (number for day in plan.days for number in day):
        card = notebooks[number].cells[1].source
        builds_on = re.search(r"\*\*It builds on\*\*.*", card)[0]
        for needed in re.findall(r"(?<!\d)\d\d(?!\d)", builds_on):
            assert needed >= number or needed in before or needed in plan.why, (number, needed)
        before.add(number)


def test_sessions_of_a_day_are_about_equally_long():
    items = [schedule.Item("04", str(n), 20) for n in range(6)]
    assert [s.minutes for s in schedule.sessions(items, schedule.PLANS["day"])] == [60, 60]


@pytest.mark.parametrize("name", NAMES)
def test_the_sheet_adds_up_as_printed(name, capsys):
    assert commands.main(["class", "schedule", name]) == 0
    sheet = capsys.readouterr().out
    in_class, at_home = map(int, re.search(r"\*\*Minutes\*\*: (\d+) in class, (\d+) at home", sheet).groups())
    blocks = re.split(r"^(?=###? |\*\*Home)", sheet, flags=re.MULTILINE)
    found = {"class": 0, "home": 0}
    for block in blocks:
        rows = sum(map(int, re.findall(r"^\| (?:\d\d|–) \| .+ \| (\d+) \| [\d. ]*\|$", block, re.MULTILINE)))
        head = re.match(r"### .*?(\d\d):(\d\d)–(\d\d):(\d\d) · (\d+) min", block)
        if head:
            h1, m1, h2, m2, said = map(int, head.groups())
            assert said <= (h2 - h1) * 60 + m2 - m1 < said + 5
            assert rows == said
            found["class"] += said
        elif block.startswith("**Home"):
            assert rows == int(re.search(r"\((\d+) min", block)[1])
            found["home"] += rows
    assert found == {"class": in_class, "home": at_home}
    assert len(re.findall(r"^\*\*Why these lessons\*\*: .+$", sheet, re.MULTILINE)) == 1


def test_another_plan_is_refused(capsys):
    with pytest.raises(SystemExit):
        commands.main(["class", "schedule", "decade"])
    assert "semester" in capsys.readouterr().err
