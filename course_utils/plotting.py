"""One style for every figure, the drawing that several lessons share, and `show` with its alt text."""

import base64
import html
import io
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

from course_utils.claims import say
from course_utils.translation import translate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by people with any common colour blindness.
# Source: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
# SKY and YELLOW are for fills: as a line they have less than the contrast of 3:1 on white that a line needs.
SKY, YELLOW, BLACK, GREY, PURPLE = "#56B4E9", "#F0E442", "#000000", "#767676", "#6A3D9A"
CYCLE = (BLUE, ORANGE, GREEN, PINK, PURPLE, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P")


def use_style() -> None:
    """Make every figure look like the course's: its colours, a marker beside each, a light grid, 100 dpi."""
    import matplotlib
    from matplotlib import cycler

    matplotlib.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=CYCLE) + cycler(marker=MARKERS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "grid.color": "#E3E3E3",
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "font.size": 10,
            "legend.frameon": False,
            "lines.markersize": 5,
        }
    )


def show(fig: "Figure", alt: str) -> None:
    """Show a matplotlib figure as a PNG with its alt text, print that text as a caption, close the figure.

    `alt` is one sentence that says what the picture shows: the fact, not "a plot of". It is looked up in the
    language of COURSE_LANG.

    Raises `ValueError` if `alt` is too short to say anything or has more than one line.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    _refuse_empty(alt)
    drawn, png = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png", dpi=100, bbox_inches="tight")
    plt.close(fig)
    # 256 colours are enough for a figure, and take half of the space.
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    _display(png, alt)


def animate(fig: "Figure", draw: Callable[[int], object], frames: int, alt: str, seconds: float = 5) -> None:
    """Show a matplotlib figure as an animated PNG with its alt text, print that text, close the figure.

    `draw(i)` draws picture i of `frames` on `fig` (most simply: moves what is there). It plays once, in
    `seconds`, and stays on the last picture; a viewer that plays nothing shows that one. `alt` is as in
    `show`.

    Raises `ValueError` as `show` does.
    """
    import matplotlib.pyplot as plt
    import numpy
    from PIL import Image

    _refuse_empty(alt)
    pictures = []
    for i in range(frames):
        draw(i)
        fig.canvas.draw()
        pictures.append(Image.fromarray(numpy.asarray(fig.canvas.buffer_rgba())).convert("RGB"))
    plt.close(fig)
    # One palette for all pictures, and in each only what changed since the one before: a third of the size.
    last = pictures[-1].quantize(63, dither=Image.Dither.NONE)
    still, *moving = [p.quantize(palette=last, dither=Image.Dither.NONE) for p in [pictures[-1], *pictures]]
    changes = [numpy.asarray(moving[0])]
    for before, after in zip(moving, moving[1:], strict=False):
        before, after = numpy.asarray(before), numpy.asarray(after)
        changes.append(numpy.where(before == after, 63, after).astype("uint8"))  # 63: transparent
    images = [Image.frombytes("P", still.size, c.tobytes()) for c in [numpy.asarray(still), *changes]]
    for image in images:
        image.putpalette(last.getpalette()[: 3 * 63] + [255, 255, 255])
    png = io.BytesIO()
    options = {
        "duration": 1000 * seconds // frames,
        "default_image": True,
        "transparency": 63,
        "blend": 1,
        "loop": 1,
    }
    images[0].save(png, "PNG", save_all=True, append_images=images[1:], **options)
    _display(png, alt)


def _refuse_empty(alt):
    if len(alt.split()) < 5 or "\n" in alt:
        raise ValueError("alt is one line that says in a sentence what the picture shows")


def _display(png, alt):
    """Show a PNG (a BytesIO) with its alt text, and below it that text as a caption.

    JupyterLab does not read the alt text out of the metadata; a screen reader reads the caption. In a script,
    which shows no pictures, the caption alone is printed.
    """
    from IPython import get_ipython
    from IPython.display import display

    alt = translate(alt)
    if get_ipython() is None:
        say(alt)
        return
    display(
        {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": alt},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )
    caption = f'<p style="max-width: 50em; margin: 0 0 1em; font-style: italic">{html.escape(alt)}</p>'
    display({"text/html": caption, "text/plain": alt}, raw=True)


def cells(
    ax: "Axes",
    rows: list[list],
    colors: list[list[str]] | None = None,
    size: float = 10,
    row_labels: list[str] | None = None,
    column_labels: list[str] | None = None,
) -> None:
    """Draw a table of labelled squares on a matplotlib axes: a tensor, a padded batch, a mask.

    `rows` is a list of lists of labels, shape (height, width); None leaves a square out. `colors`, of the
    same shape, fills the squares (white without it). `size` is the font's, in points.
    """
    from matplotlib.patches import Rectangle

    height, width = len(rows), max(len(row) for row in rows)
    for i, row in enumerate(rows):
        for j, label in enumerate(row):
            if label is None:
                continue
            fill = colors[i][j] if colors else "white"
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor=fill, edgecolor="#444444", linewidth=0.8))
            ax.text(j + 0.5, i + 0.5, str(label), ha="center", va="center", fontsize=size)
    ax.set(xlim=(-0.05, width + 0.05), ylim=(height + 0.05, -0.05), aspect="equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_xticks([j + 0.5 for j in range(width)] if column_labels else [], column_labels)
    ax.set_yticks([i + 0.5 for i in range(height)] if row_labels else [], row_labels)
    ax.tick_params(length=0, top=False, bottom=False, labeltop=bool(column_labels), labelbottom=False)


def graph(
    ax: "Axes",
    edges: Iterable[tuple[Hashable, Hashable]],
    labels: dict[Hashable, str],
    colors: dict[Hashable, str] | None = None,
    size: float = 9,
) -> None:
    """Draw a directed graph without cycles on a matplotlib axes: arrows go down, the last node stands lowest.

    `edges` are pairs (from, to) of hashable nodes, `labels` maps every node to its text (several lines are
    fine), `colors` maps nodes to their fill (white without it), `size` is the font's, in points.

    Raises `ValueError` if the edges form a cycle.
    Source: the layers, bends and averages of Sugiyama, Tagawa and Toda, IEEE Trans. SMC 11(2), 1981.
    """
    from graphlib import CycleError, TopologicalSorter

    users = {node: {end for start, end in edges if start == node} for node in labels}
    try:
        order = list(TopologicalSorter(users).static_order())  # whoever uses a node comes before it
    except CycleError as error:
        raise ValueError("the edges form a cycle, and a graph is drawn from top to bottom") from error
    height = {}
    for node in order:  # one layer above the highest of its users
        height[node] = 1 + max((height[user] for user in users[node]), default=-1)
    layers = [[node for node in labels if height[node] == level] for level in range(max(height.values()) + 1)]
    paths = []  # an edge bends once in every layer that it passes
    for start, end in dict.fromkeys(edges):
        bends = [(start, end, level) for level in range(height[start] - 1, height[end], -1)]
        for bend in bends:
            layers[bend[2]].append(bend)
        paths.append([start, *bends, end])

    x = _columns(
        layers, paths, width={node: 1 if node in labels else 0.45 for layer in layers for node in layer}
    )
    y = {node: level for level, layer in enumerate(layers) for node in layer}
    boxes = {}
    for node, text in labels.items():
        fill = (colors or {}).get(node, "white")
        box = {"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": "#444444", "linewidth": 0.8}
        label = ax.text(x[node], y[node], text, ha="center", va="center", fontsize=size, bbox=box, zorder=3)
        boxes[node] = label.get_bbox_patch()
    for path in paths:
        end = path[-1]
        ax.plot([x[p] for p in path[:-1]], [y[p] for p in path[:-1]], color="#666666", linewidth=1, marker="")
        # An arrow ends where the box of its target begins, whatever the size of either.
        arrow = {"arrowstyle": "-|>", "color": "#666666", "shrinkA": 0, "shrinkB": 1, "patchB": boxes[end]}
        ax.annotate("", (x[end], y[end]), (x[path[-2]], y[path[-2]]), arrowprops=arrow, zorder=2)
    ax.set(xlim=(min(x.values()) - 0.6, max(x.values()) + 0.6), ylim=(-0.5, len(layers) - 0.5))
    ax.set_axis_off()


def _columns(layers, paths, width):
    """Where the nodes of each layer stand from left to right: near their neighbours, `width` apart."""
    near = {node: ([], []) for layer in layers for node in layer}  # neighbours below, neighbours above
    for path in paths:
        for above, below in zip(path, path[1:], strict=False):
            near[above][0].append(below)
            near[below][1].append(above)
    x = {node: i - len(layer) / 2 for layer in layers for i, node in enumerate(layer)}
    for sweep in range(16):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = {node: [x[other] for other in near[node][sweep % 2]] or [x[node]] for node in layer}
            wanted = {node: sum(places) / len(places) for node, places in wanted.items()}
            layer.sort(key=wanted.get)
            right = float("-inf")
            for node in layer:
                x[node] = max(wanted[node], right + width[node] / 2)
                right = x[node] + width[node] / 2
            shift = sum(wanted[node] - x[node] for node in layer) / len(layer)
            x |= {node: x[node] + shift for node in layer}
    return x
