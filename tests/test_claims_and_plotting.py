"""A claim says what holds and fails if it does not; figures carry their description wherever they go."""

import base64
import io
import os
import subprocess
import sys

import matplotlib
import numpy
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image

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


def test_a_terminal_that_cannot_show_the_signs_gets_words():
    source = (
        "from course_utils.claims import claim, say\n"
        "claim('the loss – measured – fell', True)\nsay('✗ 1.1 wrong')\nsay('○ 1.2 open')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [
        "[ok] the loss ? measured ? fell",
        "[wrong] 1.1 wrong",
        "[open] 1.2 open",
    ]


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed: a list of (data, options)."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    monkeypatch.setattr("IPython.get_ipython", lambda: "a shell")
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


CAPTION = {"text/html": f'<p style="max-width: 50em; margin: 0 0 1em; font-style: italic">{ALT}</p>'}


def test_show_displays_a_png_with_its_alt_text_and_a_caption(figure, displayed):
    assert show(figure, alt=ALT) is None
    (data, options), caption = displayed
    assert set(data) == {"image/png", "text/plain"}
    png = base64.b64decode(data["image/png"], validate=True)
    assert png.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    assert 200 < width <= 440  # 4 by 3 inches at no more than 110 dots an inch
    assert 150 < height <= 330
    assert data["text/plain"] == ALT  # no <Figure ...>, which differs from run to run
    assert options == {"metadata": {"image/png": {"alt": ALT}}, "raw": True}
    assert caption == (CAPTION | {"text/plain": ALT}, {"raw": True})


def test_show_prints_the_caption_alone_in_a_script(figure, capsys):
    show(figure, alt=ALT)
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


def test_animate_displays_a_png_that_moves_and_whose_still_is_its_last_picture(figure, displayed):
    (line,) = figure.axes[0].lines
    drawn = []

    def draw(i):
        drawn.append(i)
        line.set_ydata([0.7, 0.4, 0.2 + 0.1 * i])

    assert plotting.animate(figure, draw, 3, alt=ALT, seconds=2) is None
    (data, options), caption = displayed
    assert drawn == [0, 1, 2]
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"], validate=True)))
    assert (picture.n_frames, picture.default_image) == (4, True)  # the still, and three that move
    assert picture.info["loop"] == 1  # once
    assert picture.width <= 440
    pictures = [picture.convert("RGB").tobytes()]
    for position in range(1, 4):
        picture.seek(position)
        pictures.append(picture.convert("RGB").tobytes())
    assert picture.info["duration"] == 666
    assert pictures[0] == pictures[3]
    assert len(set(pictures)) == 3
    assert data["text/plain"] == ALT
    assert options == {"metadata": {"image/png": {"alt": ALT}}, "raw": True}
    assert caption == (CAPTION | {"text/plain": ALT}, {"raw": True})
    assert not pyplot.fignum_exists(figure.number)


def test_animate_refuses_an_alt_text_that_says_nothing(figure, displayed):
    with pytest.raises(ValueError, match="one line that says in a sentence what the picture shows"):
        plotting.animate(figure, lambda i: None, 2, alt="a plot")
    assert displayed == []


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


def drawn_graph(edges, labels, **options):
    fig, ax = pyplot.subplots()
    plotting.graph(ax, edges, labels, **options)
    return ax, {text.get_text(): text.get_position() for text in ax.texts if text.get_text()}


def test_graph_draws_every_node_below_what_it_uses():
    edges = [("a", "c"), ("b", "c"), ("c", "d"), ("a", "d")]  # a → d passes the layer of c
    ax, places = drawn_graph(edges, {n: n.upper() for n in "abcd"}, colors={"a": plotting.SKY})
    assert places.keys() == set("ABCD")
    assert all(places[start.upper()][1] > places[end.upper()][1] for start, end in edges)
    assert places["A"][0] != places["B"][0]
    arrows = [text for text in ax.texts if not text.get_text()]
    assert len(arrows) == len(edges)
    fills = {t.get_text(): t.get_bbox_patch().get_facecolor() for t in ax.texts if t.get_text()}
    assert fills["A"] == matplotlib.colors.to_rgba(plotting.SKY) and fills["B"] == (1, 1, 1, 1)


def test_graph_keeps_the_nodes_of_a_layer_apart():
    leaves = [f"leaf {i}" for i in range(5)]
    _, places = drawn_graph([(leaf, "sum") for leaf in leaves], {n: n for n in [*leaves, "sum"]})
    columns = sorted(places[leaf][0] for leaf in leaves)
    assert all(right - left > 0.99 for left, right in zip(columns, columns[1:], strict=False))
    assert places["sum"][0] == pytest.approx(sum(columns) / 5)


def test_graph_refuses_a_cycle():
    with pytest.raises(ValueError, match="cycle"):
        drawn_graph([("a", "b"), ("b", "a")], {"a": "a", "b": "b"})
