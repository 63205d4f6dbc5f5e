"""Which figures of the book keep their colours on a dark page."""

import base64
import importlib.util
import io
import pathlib

import lessons
import matplotlib.pyplot as plt
import numpy
import PIL
import pytest

PATH = pathlib.Path(__file__).parents[1] / "tools/book/pictures.py"
spec = importlib.util.spec_from_file_location("pictures", PATH)
pictures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pictures)


def png(draw):
    figure, axes = plt.subplots(figsize=(5, 3))
    draw(axes)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


@pytest.fixture(scope="module")
def lines():
    return png(lambda axes: axes.plot([[1, 5], [3, 4], [2, 1]]))


def test_lines_and_bars_turn_dark(lines):
    assert not pictures.keeps_its_colours("ax.plot(losses)", lines)
    assert not pictures.keeps_its_colours(
        "ax.bar(names, counts)", png(lambda axes: axes.bar("abcde", [3, 1, 4, 1, 5]))
    )


def test_shades_stay_whoever_draws_them(lines):
    noise = numpy.random.default_rng(0).random((20, 20))
    assert pictures.keeps_its_colours("draw(noise)", png(lambda axes: axes.imshow(noise)))  # by the picture
    assert pictures.keeps_its_colours("ax.imshow(noise)", lines)  # by the code
    sources = [
        "%matplotlib inline\nax.imshow(1)",
        "def draw(ax):\n    ax.contourf(x, y, z)",
        "def other(ax):\n    pass",
    ]
    assert pictures.keeps_its_colours("draw(axes)", lines, sources)  # by a function of another cell
    assert not pictures.keeps_its_colours("other(axes); redraw(axes)", lines, sources)


def test_what_is_no_picture_is_an_error():
    with pytest.raises(PIL.UnidentifiedImageError):
        pictures.keeps_its_colours("", b"text")


@pytest.mark.parametrize(
    ("name", "kept"),
    [  # the beginnings of alt texts
        ("04_losses", []),
        ("05_optimizers", ["All four reach the ravine", "Four optimizers race"]),
        ("08_bert_from_scratch", ["One head's shares"]),
        (
            "16_interpretability",
            [
                "By its gradient",
                "Six sentences",
                "Three attention maps",
                "Six methods",
                "Sentences with the cue",
            ],
        ),
    ],
)
def test_figures_of_lessons(name, kept):
    lesson = lessons.read(lessons.FOLDER / f"{name}.ipynb")
    sources = [cell.source for cell in lesson.code]
    found = [
        output.metadata["image/png"]["alt"]
        for cell in lesson.code
        for output in cell.outputs
        if "image/png" in output.get("data", {})
        and pictures.keeps_its_colours(cell.source, base64.b64decode(output.data["image/png"]), sources)
    ]
    assert len(found) == len(kept), found
    assert all(alt.startswith(start) for alt, start in zip(found, kept, strict=True)), found
