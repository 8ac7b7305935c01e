"""Picture of pre-training on a few windows."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .feature_pca import FeaturePCA

CELL = 2.3  # side of a cell in inches
GAP = 0.16
BAR_GAP = 0.68  # width of a color bar with its numbers
LEFT, RIGHT = 0.95, 0.15
HEADER, FOOTER = 1.2, 1.35
HIDDEN = 0.12  # brightness of a hidden patch
ABSENT = (0.82, 0.82, 0.82)

EXPLANATION = (
    'Each row is one modality of one window. Information score: how much edge and texture a '
    'patch has, over all modalities. The student sees only the bright patches of each modality. '
    'Hatched: no data.'
)
RECONSTRUCTION = (
    'Reconstruction: hidden patches as the student predicts them; photographs have the true mean '
    'and contrast of each patch, heights are as predicted.'
)
COLORS = (
    'Features are vectors; their first three principal components, found once over all windows and '
    'modalities, are shown as red, green and blue, so the same color means the same features in '
    'all rows.'
)
TEACHER = "The teacher is a slow average of the student; its features are the student's targets."


@dataclass
class PanelData:
    """Content of one picture: B windows, N = h * w patches, as NumPy arrays.

    Attributes:
        images: images (B, C, H, W) of each modality in its own unit.
        pixel_valid: validity (B, 1, H, W) bool of each modality's pixels.
        patch_valid: validity (B, N) bool of each modality's patches.
        masks: masks (B, N) bool of each modality, true where hidden from the student.
        score: information scores (B, N).
        grid: numbers (h, w) of rows and columns of patches.
        predicted: predicted features (B, N, D) of each modality; None without them.
        targets: teacher's features (B, N, D) of each modality; None without a teacher.
        features: features (B, N, D) of each modality from the student on whole windows, shown if
            there are no targets.
        reconstructed: images (B, C, H, W) of each modality in its own unit, with predicted pixels
            in the hidden patches; None without them.
        units: units of modalities that are one measured quantity, such as a DSM's meters, which are
            shown by a color scale; the others are shown as photographs.
        names: names of the windows.
    """

    images: Mapping[str, np.ndarray]
    pixel_valid: Mapping[str, np.ndarray]
    patch_valid: Mapping[str, np.ndarray]
    masks: Mapping[str, np.ndarray]
    score: np.ndarray
    grid: tuple[int, int]
    predicted: Mapping[str, np.ndarray] | None = None
    targets: Mapping[str, np.ndarray] | None = None
    features: Mapping[str, np.ndarray] | None = None
    reconstructed: Mapping[str, np.ndarray] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()


def stretch(image: np.ndarray, valid: np.ndarray, scale_of: np.ndarray | None = None) -> np.ndarray:
    """Stretch a photograph (C, H, W) to (H, W, 3) in 0...1 by its 2 to 98 % range.

    The range is that of the valid pixels of all bands together. Of one or two bands, the first is
    gray; of more, the first three are red, green and blue.

    Args:
        image: image (C, H, W).
        valid: validity (H, W) bool.
        scale_of: image (C, H, W) whose range is taken; None takes that of ``image``.
    """

    def shown(values: np.ndarray) -> np.ndarray:
        return values[:3] if len(values) >= 3 else np.repeat(values[:1], 3, axis=0)

    bands = shown(image)
    values = (bands if scale_of is None else shown(scale_of))[:, valid]
    if not values.size:
        return np.zeros((*valid.shape, 3))
    low, high = np.percentile(values, [2, 98])
    scaled = (bands - low) / max(high - low, 1e-12)
    return np.moveaxis(scaled, 0, -1).clip(0, 1)


def to_pixels(patches: np.ndarray, grid: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Spread values of patches (N, ...) over the pixels (H, W, ...) of a window."""
    values = patches.reshape(*grid, *patches.shape[1:])
    return values.repeat(shape[0] // grid[0], axis=0).repeat(shape[1] // grid[1], axis=1)


def fit_colors(data: PanelData) -> FeaturePCA | None:
    """Fit the colors to the teacher's valid tokens, or to predicted ones without a teacher."""
    features = data.targets or data.predicted or data.features
    if not features:
        return None
    tokens = [values[data.patch_valid[name]] for name, values in features.items()]
    return FeaturePCA.fit(np.concatenate(tokens)) if sum(map(len, tokens)) else None


def draw_pretrain_panel(data: PanelData, caption: str = '') -> Figure:
    """Draw windows as blocks of rows, one row for each modality.

    The columns are the window, its information score, the patches visible to the student and, where
    the recipe has them, the reconstruction, the teacher's features and the predicted ones; without
    a teacher, the student's features of the whole window.

    Args:
        data: content of the picture.
        caption: text of the first line, such as iteration, config and loss.

    Returns:
        Figure with Agg's canvas, outside pyplot.
    """
    modalities = list(data.images)
    colors = fit_colors(data)

    columns: list[tuple[str, str, Callable[[_Cell], None]]] = [
        ('Input window', 'what the sensor measured', _draw_image),
        ('Information score', 'bright: much edge and texture', _draw_score),
        ('Seen by the student', _visible_subtitle(data), _draw_visible),
    ]

    # The columns follow from what the recipe has: a decoder, a teacher, predicted features.
    explanation = [EXPLANATION]
    if data.reconstructed:
        columns.append(('Reconstructed', 'hidden patches as predicted', _draw_reconstruction))
        explanation.append(RECONSTRUCTION)
    if colors is not None:
        explanation.append(COLORS)
    if colors is not None and data.features and not data.targets:
        columns.append(("Student's features", 'of the whole window', _draw_features('features')))
    if colors is not None and data.targets:
        explanation.append(TEACHER)
        columns.append(
            ("Teacher's features", 'of the whole window: the target', _draw_features('targets'))
        )
    if colors is not None and data.predicted:
        columns.append(
            ('Predicted features', 'by the student, of every patch', _draw_features('predicted'))
        )

    bars = {0: bool(data.units), 1: True}
    windows, rows = len(data.score), len(data.score) * len(modalities)
    widths = [CELL + (BAR_GAP if bars.get(i) else GAP) for i in range(len(columns))]
    width = LEFT + sum(widths) + RIGHT
    height = HEADER + rows * (CELL + GAP) + windows * GAP + FOOTER
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)

    top = height - HEADER
    for window in range(windows):
        for row, name in enumerate(modalities):
            bottom = top - (row + 1) * (CELL + GAP)
            left = LEFT
            for number, (title, subtitle, draw) in enumerate(columns):
                axes = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
                _frame(axes)
                draw(_Cell(axes, data, name, window, colors))
                if window == row == 0:
                    _header(axes, title, subtitle)
                if number == 0:
                    _row_label(axes, name)
                left += widths[number]

        label = data.names[window] if window < len(data.names) else f'window {window + 1}'
        middle = (top - len(modalities) * (CELL + GAP) / 2) / height
        figure.text(
            0.22 / width,
            middle,
            _shorten(label),
            rotation=90,
            ha='center',
            va='center',
            fontsize=9,
            color='0.35',
        )
        top -= len(modalities) * (CELL + GAP) + GAP

    figure.text(LEFT / width, 1 - 0.3 / height, caption, fontsize=13, weight='bold', va='center')
    lines = textwrap.fill(' '.join(explanation), int((width - LEFT - RIGHT) * 14))
    figure.text(
        LEFT / width, (FOOTER - 0.15) / height, lines, fontsize=9, va='top', linespacing=1.4
    )
    return figure


def figure_to_array(figure: Figure, dpi: int = 100) -> np.ndarray:
    """Render a figure to (H, W, 3) uint8."""
    figure.set_dpi(dpi)
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@dataclass
class _Cell:
    """A pair of axes with its content."""

    axes: Axes
    data: PanelData
    name: str
    window: int
    colors: FeaturePCA | None

    @property
    def image(self) -> np.ndarray:
        return self.data.images[self.name][self.window]

    @property
    def pixel_valid(self) -> np.ndarray:
        return self.data.pixel_valid[self.name][self.window, 0]

    @property
    def patch_valid(self) -> np.ndarray:
        return self.data.patch_valid[self.name][self.window]

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[-2:]

    @property
    def present(self) -> bool:
        return bool(self.patch_valid.any())

    def spread(self, patches: np.ndarray) -> np.ndarray:
        """Spread values of this window's patches over its pixels."""
        return to_pixels(patches, self.data.grid, self.shape)

    def photograph(self, image: np.ndarray | None = None) -> np.ndarray:
        """Render an image (H, W, 3) in 0...1, heights as colors, gray without data.

        Args:
            image: image (C, H, W), shown in the window's own range; None takes the window itself.
        """
        image = self.image if image is None else image
        if self.name in self.data.units:
            low, high = self.limits()
            rgb = colormaps['viridis']((image[0] - low) / max(high - low, 1e-12))[..., :3]
        else:
            rgb = stretch(image, self.pixel_valid, self.image)
        rgb[~self.pixel_valid] = 0.5
        return rgb

    def limits(self) -> tuple[float, float]:
        values = self.image[0][self.pixel_valid]
        low, high = np.percentile(values, [1, 99]) if values.size else (0.0, 1.0)
        return float(low), float(high)


def _frame(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor(ABSENT)
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)


def _header(axes: Axes, title: str, subtitle: str) -> None:
    axes.text(0, 1.125, title, transform=axes.transAxes, fontsize=11, weight='bold', va='bottom')
    axes.text(0, 1.035, subtitle, transform=axes.transAxes, fontsize=8.5, va='bottom', color='0.35')


def _row_label(axes: Axes, name: str) -> None:
    axes.set_ylabel(name, fontsize=11, weight='bold', labelpad=6)


def _shorten(label: str, length: int = 44) -> str:
    return label if len(label) <= length else f'{label[: length // 2]}…{label[-length // 2 + 1 :]}'


def _visible_subtitle(data: PanelData) -> str:
    shares = []
    for name, masks in data.masks.items():
        valid = data.patch_valid[name]
        shares.append(f'{name} {(~masks & valid).sum() / max(valid.sum(), 1):.0%}')
    return 'bright patches: ' + ', '.join(shares)


def _hatch(cell: _Cell, where: np.ndarray) -> None:
    """Hatch pixels (H, W) without data in gray."""
    if not where.any():
        return
    if where.all():
        cell.axes.add_patch(_cover(cell))
        return
    color = np.zeros((*where.shape, 4))
    color[where] = (*ABSENT, 1)
    cell.axes.imshow(color, interpolation='nearest')
    hatched = cell.axes.contourf(
        where.astype(float), levels=[0.5, 1.5], colors='none', hatches=['/////']
    )
    hatched.set_edgecolor('0.55')
    hatched.set_linewidth(0)


def _cover(cell: _Cell) -> Rectangle:
    height, width = cell.shape
    return Rectangle(
        (-0.5, -0.5), width, height, facecolor=ABSENT, edgecolor='0.55', hatch='/////', linewidth=0
    )


def _draw_image(cell: _Cell) -> None:
    if cell.name in cell.data.units and cell.present:
        low, high = cell.limits()
        shown = cell.axes.imshow(cell.image[0], cmap='viridis', vmin=low, vmax=high)
        _color_bar(cell.axes, shown, cell.data.units[cell.name])
    else:
        cell.axes.imshow(cell.photograph())
    _hatch(cell, ~cell.pixel_valid)
    if not cell.present:
        cell.axes.text(
            0.5,
            0.5,
            'not there',
            transform=cell.axes.transAxes,
            ha='center',
            va='center',
            fontsize=10,
            backgroundcolor='white',
        )


def _draw_score(cell: _Cell) -> None:
    """Draw the score over the gray photograph, scaled to the window's own scores."""
    known = np.any([valid[cell.window] for valid in cell.data.patch_valid.values()], axis=0)
    score = np.log10(1 + cell.data.score[cell.window].astype(np.float64))
    cell.axes.imshow(cell.photograph().mean(axis=-1), cmap='gray', vmin=0, vmax=1)
    shown = cell.axes.imshow(
        np.where(cell.spread(known), cell.spread(score), np.nan),
        cmap='inferno',
        alpha=0.72,
        interpolation='nearest',
        vmin=score[known].min() if known.any() else 0,
        vmax=score[known].max() if known.any() else 1,
    )
    _color_bar(cell.axes, shown, 'log10(1 + S)')
    _hatch(cell, ~cell.spread(known))


def _draw_visible(cell: _Cell) -> None:
    masked = cell.spread(cell.data.masks[cell.name][cell.window])
    photograph = cell.photograph()
    photograph[masked] *= HIDDEN
    cell.axes.imshow(photograph)
    _hatch(cell, ~cell.spread(cell.patch_valid))


def _draw_reconstruction(cell: _Cell) -> None:
    assert cell.data.reconstructed is not None
    cell.axes.imshow(cell.photograph(cell.data.reconstructed[cell.name][cell.window]))
    _hatch(cell, ~cell.spread(cell.patch_valid))


def _draw_features(which: str) -> Callable[[_Cell], None]:
    def draw(cell: _Cell) -> None:
        assert cell.colors is not None
        tokens = getattr(cell.data, which)[cell.name][cell.window]
        cell.axes.imshow(cell.spread(cell.colors.to_rgb(tokens)), interpolation='nearest')
        _hatch(cell, ~cell.spread(cell.patch_valid))

    return draw


def _color_bar(axes: Axes, shown: Any, label: str) -> None:
    bar_axes = axes.inset_axes((1.03, 0, 0.045, 1))
    bar = axes.figure.colorbar(shown, cax=bar_axes)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=7, length=2, pad=1.5)
    bar.set_label(label, fontsize=7, labelpad=1.5)
