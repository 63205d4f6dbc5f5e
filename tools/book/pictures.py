"""Which figures keep their colours on a dark page: those in which dark and light mean something.

Every other figure is drawn on white with few colours; `book.css` turns it dark by inverting its lightness.
"""

import ast
import io
import re
from collections.abc import Iterable

from PIL import Image

# matplotlib's ways to draw numbers as shades.
SHADED = re.compile(r"\.(?:imshow|matshow|pcolor|pcolormesh|contourf|hexbin|specgram)\(")
COLOURS = 8  # of a figure with lines, bars and boxes: white, the text's, the grid's, the lines'
REST = 0.2  # the share of the picture that may have other colours: the soft edges of lines and letters


def keeps_its_colours(source: str, png: bytes, sources: Iterable[str] = ()) -> bool:
    """Whether a figure means something by how dark it is, so that it is not to be inverted on a dark page.

    `source` is the code of the cell that shows it, `png` the picture, `sources` the code of all cells of the
    lesson. True if the code, or a function of the lesson that it calls, draws numbers as shades, or if more
    than a fifth of the picture has other colours than its eight most frequent ones (photographs).

    Raises `PIL.UnidentifiedImageError` if `png` is no picture.
    """
    if SHADED.search(source) or any(re.search(rf"\b{name}\(", source) for name in _that_shade(sources)):
        return True
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    area = picture.width * picture.height
    counts = sorted(count for count, _ in picture.getcolors(area))
    return 1 - sum(counts[-COLOURS:]) / area > REST


def _that_shade(sources):
    """The names of the functions that draw shades."""
    for source in filter(SHADED.search, sources):
        try:
            statements = ast.parse(source).body
        except SyntaxError:  # a cell with a magic
            continue
        for function in statements:
            if isinstance(function, ast.FunctionDef) and SHADED.search(ast.unparse(function)):
                yield function.name
