"""Table of pictures with a legend."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

SIDE = 2.6  # side of a cell in inches
GAP = 0.12
BAR = 0.75  # width of a color bar with its numbers
LEFT, RIGHT = 0.15, 0.15
TITLE, HEADER, NAME = 0.6, 0.3, 0.28
LINE = 0.26
LETTER, LETTERS = 0.078, 30  # width of a letter of the legend in inches, and largest number
LABELED = 20  # largest number of outlines in one picture that get labels

Color = tuple[float, float, float]
ABSENT: Color = (0.85, 0.85, 0.85)


@dataclass
class Outline:
    """A box, rotated or not, over a picture.

    Attributes:
        corners: x and y (4, 2) of the corners, in pixels of the picture.
        color: color of the line.
        label: text at its first corner; '' for none.
    """

    corners: NDArray
    color: Color
    label: str = ''


@dataclass
class Bars:
    """A set of names with shares, drawn as horizontal bars in place of a picture.

    Attributes:
        names: name of each bar.
        values: share of each bar, 0 to 1.
        colors: color of each bar.
    """

    names: Sequence[str]
    values: Sequence[float]
    colors: Sequence[Color]


@dataclass
class Cell:
    """A cell with one picture.

    Attributes:
        title: title of its column.
        image: colors (H, W, 3) as uint8 or 0...1, or values (H, W), NaN where unknown.
        color_map: name of the color map for values.
        limits: smallest and largest value of the color map; None takes those of the values.
        unit: unit of the values; if given, a color bar is drawn.
        outlines: outlines over the picture.
        size: height and width in whose pixels the outlines count; None takes the image's.
        bars: bars that replace the picture.
    """

    title: str
    image: NDArray | None = None
    color_map: str = 'gray'
    limits: tuple[float, float] | None = None
    unit: str = ''
    outlines: list[Outline] = field(default_factory=list)
    size: tuple[int, int] | None = None
    bars: Bars | None = None


@dataclass
class Row:
    """A row of the pictures of one sample.

    Attributes:
        name: text above the pictures.
        cells: cells, the same number in every row.
        classes: names of the classes in the row, if the legend may omit the others.
    """

    name: str
    cells: list[Cell]
    classes: frozenset[str] = frozenset()


def draw_panel(
    rows: Sequence[Row],
    title: str,
    legend: Sequence[tuple[str, Color]] = (),
    note: str = '',
) -> Figure:
    """Draw rows of cells under the titles of their columns, with a legend below.

    Args:
        rows: rows, at least one.
        title: text of the first line.
        legend: names and colors of the legend.
        note: further explanation of the picture.

    Returns:
        Figure with Agg's canvas, outside pyplot.

    Raises:
        ValueError: if there is no row, or rows have different numbers of cells.
    """
    counts = {len(row.cells) for row in rows}
    if len(counts) != 1:
        raise ValueError(f'rows: expected at least one, all of as many cells, found {counts}')

    columns = rows[0].cells
    bars = [any(row.cells[i].unit for row in rows) for i in range(len(columns))]
    width = LEFT + sum(SIDE + (BAR if bar else GAP) for bar in bars) + RIGHT
    width = max(width, 6.0)

    room = 0.4 + LETTER * min(max((len(name) for name, _ in legend), default=0), LETTERS)
    per_line = max(int((width - LEFT - RIGHT) // room), 1)
    notes = textwrap.wrap(note, int((width - LEFT - RIGHT) * 13)) if note else []

    lines = -(-len(legend) // per_line)
    footer = 0.2 + LINE * lines + 0.2 * len(notes) + 0.1
    height = TITLE + HEADER + len(rows) * (NAME + SIDE) + footer

    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    figure.text(LEFT / width, 1 - 0.3 / height, title, fontsize=12, weight='bold', va='center')

    top = height - TITLE - HEADER
    for row in rows:
        figure.text(
            LEFT / width,
            (top - NAME / 2) / height,
            _shorten(row.name, width),
            fontsize=8.5,
            color='0.35',
            va='center',
        )

        left, bottom = LEFT, top - NAME - SIDE
        for number, cell in enumerate(row.cells):
            place = (left / width, bottom / height, SIDE / width, SIDE / height)
            _draw_cell(figure, place, cell, width)
            if row is rows[0]:
                figure.text(
                    left / width,
                    (height - TITLE - HEADER / 2) / height,
                    cell.title,
                    fontsize=10,
                    weight='bold',
                    va='center',
                )
            left += SIDE + (BAR if bars[number] else GAP)

        top = bottom

    _draw_legend(figure, legend, top - 0.2, per_line, room)
    if notes:
        figure.text(
            LEFT / width,
            (top - 0.2 - LINE * lines) / height,
            '\n'.join(notes),
            fontsize=8.5,
            va='top',
            linespacing=1.4,
        )

    return figure


def _shorten(name: str, width: float) -> str:
    room = int(width * 12)
    return name if len(name) <= room else f'…{name[1 - room :]}'


def _draw_cell(
    figure: Figure, place: tuple[float, float, float, float], cell: Cell, width: float
) -> None:
    axes = figure.add_axes(place)
    if cell.bars is not None:
        _draw_bars(axes, cell.bars)
        return

    assert cell.image is not None
    rows, cols = cell.size or cell.image.shape[:2]
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor(ABSENT)

    low, high = cell.limits or (None, None)
    shown = axes.imshow(
        cell.image,
        cmap=cell.color_map,
        vmin=low,
        vmax=high,
        extent=(0, cols, rows, 0),
        interpolation='nearest',
    )

    for outline in cell.outlines:
        _draw_outline(axes, outline, (rows, cols), len(cell.outlines) <= LABELED)
    axes.set_xlim(0, cols)
    axes.set_ylim(rows, 0)

    if cell.unit:
        left, bottom, wide, high_ = place
        bar = figure.add_axes((left + wide + 0.06 / width, bottom, 0.1 / width, high_))
        figure.colorbar(shown, cax=bar)
        bar.tick_params(labelsize=7)
        bar.set_ylabel(cell.unit, fontsize=7.5)


def _draw_outline(axes: Axes, outline: Outline, size: tuple[int, int], labeled: bool) -> None:
    """Draw a line that is visible on any picture, and a label that stays inside it."""
    line = Polygon(outline.corners, fill=False, edgecolor=outline.color, linewidth=1.3)
    line.set_path_effects([withStroke(linewidth=2.6, foreground='black', alpha=0.6)])
    axes.add_patch(line)

    if not outline.label or not labeled:
        return

    # The label stays inside the picture, on the side with room for it.
    (left, top), (right, _) = outline.corners.min(axis=0), outline.corners.max(axis=0)
    rows, cols = size
    starts_left, has_room = (left + right) / 2 < cols / 2, top > 0.06 * rows
    bright = float(np.dot(outline.color, (0.3, 0.6, 0.1))) > 0.5

    axes.text(
        min(max(left if starts_left else right, 0), cols),
        min(max(top, 0), rows),
        outline.label,
        fontsize=6,
        color='black' if bright else 'white',
        ha='left' if starts_left else 'right',
        va='bottom' if has_room else 'top',
        clip_on=True,
        bbox=dict(facecolor=outline.color, linewidth=0, pad=0.8, alpha=0.85),
    )


def _draw_bars(axes: Axes, bars: Bars) -> None:
    places = np.arange(len(bars.names))[::-1]
    axes.barh(places, bars.values, color=bars.colors, height=0.8)
    for place, name, value in zip(places, bars.names, bars.values, strict=True):
        axes.text(0.02, place, f'{name}  {100 * value:.0f} %', fontsize=8, va='center')
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_legend(
    figure: Figure,
    legend: Sequence[tuple[str, Color]],
    top: float,
    per_line: int,
    room: float,
) -> None:
    width, height = figure.get_size_inches()
    for index, (name, color) in enumerate(legend):
        line, place = divmod(index, per_line)
        x, y = LEFT + place * room, top - (line + 0.5) * LINE
        figure.add_artist(
            Rectangle(
                (x / width, (y - 0.06) / height),
                0.18 / width,
                0.12 / height,
                facecolor=color,
                edgecolor='0.4',
                linewidth=0.5,
            )
        )
        shown = name if len(name) <= LETTERS else f'{name[: LETTERS - 1]}…'
        figure.text((x + 0.25) / width, y / height, shown, fontsize=8.5, va='center')
