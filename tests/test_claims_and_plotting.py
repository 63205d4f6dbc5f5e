"""A claim says what holds and fails if it does not; figures carry their description wherever they go."""

import base64

import matplotlib
import numpy
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from course_utils import claim, plotting, show

TRUE = [True, numpy.bool_(True), torch.tensor(True), torch.tensor([True]), torch.ones(2).eq(1).all()]
FALSE = [False, numpy.bool_(False), torch.tensor(False), torch.tensor([[False]])]
ALT = "The loss falls from 0.7 to 0.2 within fifty steps"


@pytest.mark.parametrize("condition", TRUE, ids=repr)
def test_a_true_claim_is_printed(capsys, condition):
    assert claim("the loss fell", condition) is None
    assert capsys.readouterr().out == "✓ the loss fell\n"


@pytest.mark.parametrize("condition", FALSE, ids=repr)
def test_a_false_claim_is_raised_and_not_printed(capsys, condition):
    with pytest.raises(AssertionError, match="^the loss fell$"):
        claim("the loss fell", condition)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        (torch.tensor([True, True]), r"shape \(2,\) and dtype torch.bool. End the comparison with .all\(\)"),
        (torch.tensor([], dtype=torch.bool), r"shape \(0,\)"),
        (torch.tensor(1.0), r"dtype torch.float32"),
        ([True], "got list"),
        (1, "got int"),
        (None, "got NoneType"),
        ("yes", "got str"),
        (numpy.array([True]), "got ndarray"),
    ],
    ids=str,
)
def test_what_is_not_one_bool_is_no_claim(capsys, condition, complaint):
    with pytest.raises(TypeError, match=complaint):
        claim("the loss fell", condition)
    assert capsys.readouterr().out == ""


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed: a list of (data, options)."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    return shown


@pytest.fixture
def figure():
    """A figure in the course's style; whatever a test leaves open is closed."""
    with matplotlib.rc_context():
        matplotlib.use("agg")
        plotting.use_style()
        figure, ax = pyplot.subplots(figsize=(4, 3))
        ax.plot([0.7, 0.4, 0.2])
        yield figure
    pyplot.close("all")


def test_show_displays_a_png_with_its_alt_text_and_prints_it(figure, displayed, capsys):
    assert show(figure, alt=ALT) is None
    ((data, options),) = displayed
    assert set(data) == {"image/png", "text/plain"}
    png = base64.b64decode(data["image/png"], validate=True)
    assert png.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    assert 200 < width <= 440  # 4 by 3 inches at no more than 110 dots an inch
    assert 150 < height <= 330
    assert data["text/plain"] == ALT  # no <Figure ...>, which differs from run to run
    assert options == {"metadata": {"image/png": {"alt": ALT}}, "raw": True}
    assert capsys.readouterr().out == f"{ALT}\n"


def test_show_closes_the_figure(figure, displayed):
    assert pyplot.fignum_exists(figure.number)
    show(figure, alt=ALT)
    assert not pyplot.fignum_exists(figure.number)


@pytest.mark.parametrize("alt", ["", "   ", "a plot", "The loss falls\nfrom 0.7 to 0.2 in fifty steps"])
def test_show_refuses_an_alt_text_that_says_nothing(figure, displayed, capsys, alt):
    with pytest.raises(ValueError, match="one line that says in a sentence what the picture shows"):
        show(figure, alt=alt)
    assert displayed == []
    assert capsys.readouterr().out == ""


def test_the_style_tells_lines_apart_by_colour_and_by_marker(figure):
    styles = list(matplotlib.rcParams["axes.prop_cycle"])
    assert len({style["color"] for style in styles}) == len(styles) >= 6
    assert len({style["marker"] for style in styles}) == len(styles)
    assert matplotlib.rcParams["figure.dpi"] <= 110


def test_cells_draws_a_square_and_a_text_for_every_label(figure):
    ax = figure.add_subplot()
    colors = [[plotting.BLUE, plotting.SKY, "white"], [plotting.GREY, plotting.GREY, plotting.GREY]]
    labels = ["first", "second"]
    plotting.cells(
        ax, [[1, 2.5, None], ["[PAD]", 0, ""]], colors, row_labels=labels, column_labels=list("abc")
    )
    squares = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [square.get_xy() for square in squares] == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)]
    assert {(square.get_width(), square.get_height()) for square in squares} == {(1, 1)}
    assert to_hex(squares[1].get_facecolor()) == plotting.SKY.lower()
    assert [text.get_text() for text in ax.texts] == ["1", "2.5", "[PAD]", "0", ""]
    assert [text.get_position() for text in ax.texts][:2] == [(0.5, 0.5), (1.5, 0.5)]
    assert [label.get_text() for label in ax.get_yticklabels()] == labels
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.yaxis_inverted()  # the first row is on top, as in a printed tensor


def test_cells_without_colours_and_labels_are_white_and_bare(figure):
    ax = figure.add_subplot()
    plotting.cells(ax, [[1], [2], [3]])
    assert [to_hex(square.get_facecolor()) for square in ax.patches] == ["#ffffff"] * 3
    assert list(ax.get_xticks()) == list(ax.get_yticks()) == []
