"""The class report: who has what, how many are right on each exercise, and the mistakes made most."""

import base64
import collections
import html
import io
import os
import pathlib
from typing import Any

from course_utils import exercises, plotting
from course_utils.translation import translate

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border: 1px solid #999; padding: .2rem .5rem; text-align: left }}
td:first-child {{ overflow-wrap: anywhere; min-width: 9rem }}
img {{ max-width: 100% }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
<img alt="{alt}" src="data:image/png;base64,{picture}">
<h2>Mistakes made most</h2>
{mistakes}
<h2>To be marked by hand</h2>
{by_hand}
<h2>Submissions</h2>
{submissions}
</body></html>
"""
SIGNS = {"right": "✓", "wrong": "✗", "not attempted": "○", "missing": "–", "by hand": "?"}


def report(course: pathlib.Path, name: str, rows: list[dict]) -> pathlib.Path:
    """Write `report_NAME.html` into the folder `course`, out of the rows that `grade` answers; its path."""
    known = exercises.of_lesson(int(name[:2]))
    right = {number: 0 for number in known}
    mistakes: collections.Counter = collections.Counter()
    for row in rows:
        for mark in row["marks"]:
            right[mark["number"]] += mark["state"] == "right"
            for mistake in known[mark["number"]].mistakes:
                if mark["state"] == "wrong" and translate(mistake.explanation) in mark["words"]:
                    mistakes[mark["number"], mistake.explanation] += 1
    complete = sum(all(mark["state"] == "right" for mark in row["marks"]) for row in rows)
    hardest = min(right, key=lambda number: right[number])
    page = PAGE.format(
        title=html.escape(f"{name}: {len(rows)} submissions"),
        summary=f"{complete} of {len(rows)} are right on all {len(known)} exercises.",
        alt=html.escape(f"Fewest are right on {hardest}: {right[hardest]} of {len(rows)}."),
        picture=_picture(right, len(rows), known),
        mistakes=_table(
            ["exercise", "made by", "what the check said"],
            [[number, count, text] for (number, text), count in mistakes.most_common(15)],
        ),
        by_hand=_table(
            ["student", "exercise", "why"],
            [
                [
                    row["student"],
                    mark["number"],
                    mark["words"].partition("to be marked by hand")[2].strip(", :"),
                ]
                for row in rows
                for mark in row["marks"]
                if mark["state"] == "by hand"
            ],
        ),
        submissions=_table(
            ["student", *known, "right", "the run"],
            [
                [row["student"], *[SIGNS[mark["state"]] for mark in row["marks"]]]
                + [sum(mark["state"] == "right" for mark in row["marks"]), row["ended"] or "whole"]
                for row in rows
            ],
        ),
    )
    path = course / f"report_{name}.html"
    beside = path.with_suffix(".part")
    beside.write_text(page, encoding="utf8")
    os.replace(beside, path)
    return path


def _table(heads: list[str], rows: list[list[Any]]) -> str:
    """An HTML table; every text in it may come from a student."""
    if not rows:
        return "<p>None.</p>"
    lines = ["".join(f"<th>{html.escape(head)}</th>" for head in heads)]
    lines += ["".join(f"<td>{html.escape(str(item))}</td>" for item in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _picture(right: dict[str, int], submissions: int, known: dict) -> str:
    """A bar for each exercise: the share of the submissions that are right; PNG, base64."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 + 0.35 * len(right)), layout="constrained")
    axes = figure.subplots()
    names = [f"{number} {known[number].title}" for number in right]
    bars = axes.barh(names, [100 * count / submissions for count in right.values()], color=plotting.BLUE)
    axes.bar_label(bars, [str(count) for count in right.values()], padding=3)
    axes.set(xlim=(0, 109), xlabel="% of the submissions that are right")
    axes.invert_yaxis()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=110)
    return base64.b64encode(picture.getvalue()).decode()
