"""One style for every figure, the drawing that several lessons share, and `show` with its alt text."""

import base64
import io

# Okabe and Ito's colours: told apart by people with any common colour blindness.
# Source: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, YELLOW, BLACK, GREY = "#56B4E9", "#F0E442", "#000000", "#8A8A8A"
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P")


def use_style():
    """Make every figure look like the course's: its colours, a marker beside each, a light grid, 100 dpi."""
    import matplotlib
    from cycler import cycler

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


def show(fig, alt):
    """Show a matplotlib figure as a PNG with its alt text, print that text as a caption, close the figure.

    `alt` is one sentence that says what the picture shows: the fact, not "a plot of".

    Raises `ValueError` if `alt` is too short to say anything or has more than one line.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    if len(alt.split()) < 5 or "\n" in alt:
        raise ValueError("alt is one line that says in a sentence what the picture shows")
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=100, bbox_inches="tight", pil_kwargs={"optimize": True})
    plt.close(fig)
    # JupyterLab does not read the alt text out of the metadata, hence the caption; nbconvert does.
    display(
        {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": alt},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )
    print(alt)


def cells(ax, rows, colors=None, size=10, row_labels=None, column_labels=None):
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
