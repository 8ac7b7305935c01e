"""Pictures of a measurement: scores with intervals, and patch tokens as colors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mssdf.utils.atomic_file import partial_file
from mssdf.visualization.feature_pca import FeaturePCA

from .data import EvaluationData
from .featurizer import PRIMARY, Featurizer
from .table import FeatureTable, Measure

COLUMNS = 4  # number of panels side by side
DOTS = 110  # resolution in dots per inch


def plot_scores(table: FeatureTable, rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Draw a panel for every measure, with the rows' scores and their intervals.

    Args:
        table: table of results.
        rows: rows of :func:`~mssdf.evaluation.frozen.report.summarize`.
        path: path of the PNG file.
    """
    measures, names = table.measures(), table.names
    lines = -(-len(measures) // COLUMNS)
    figure = Figure(figsize=(3.6 * COLUMNS, lines * (0.9 + 0.24 * len(names))), dpi=DOTS)
    axes = figure.subplots(lines, COLUMNS, squeeze=False)

    for ax in axes.ravel():
        ax.set_visible(False)

    for number, measure in enumerate(measures):
        ax = axes.ravel()[number]
        ax.set_visible(True)
        for row in rows:
            if Measure(*(row[key] for key in Measure._fields)) != measure:
                continue
            place = names.index(row['name'])
            low, value, high = row['low'], row['value'], row['high']
            errors = [[max(value - low, 0)], [max(high - value, 0)]]
            ax.errorbar(value, place, xerr=errors, fmt='o', ms=4, capsize=2, color=f'C{place % 10}')

        ax.set_yticks(range(len(names)))
        ax.set_yticklabels(names if number % COLUMNS == 0 else [''] * len(names), fontsize=7)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_title(str(measure) + (', m' if measure.measure == 'RMSE' else ''), fontsize=7)
        ax.tick_params(axis='x', labelsize=6)
        ax.grid(axis='x', alpha=0.3)

    _save(figure, path)


@torch.no_grad()
def draw_features(
    featurizers: Mapping[str, Featurizer],
    sets: Sequence[EvaluationData],
    path: str | Path,
    device: str = 'cpu',
    count: int = 6,
) -> None:
    """Draw a few images and the first three principal components of their patch tokens.

    The components are fitted for each encoder, over all drawn images together.

    Args:
        featurizers: encoders and baselines by name.
        sets: sets in memory, from which images are taken in turn.
        path: path of the PNG file.
        device: device of the encoders.
        count: number of images.
    """
    images, seen = _some(sets, count)
    figure = Figure(figsize=(1.5 * (1 + len(featurizers)), 1.5 * len(images) + 0.3), dpi=DOTS)
    axes = figure.subplots(len(images), 1 + len(featurizers), squeeze=False)
    columns: dict[str, Sequence[NDArray]] = {
        'image': [_visible(image) for image in images.permute(0, 2, 3, 1).float().numpy()]
    }
    for name, featurizer in featurizers.items():
        patches = featurizer(PRIMARY, images.to(device), seen.to(device)).patches.cpu().numpy()
        side = round(patches.shape[1] ** 0.5)
        basis = FeaturePCA.fit(patches.reshape(-1, patches.shape[-1]))
        columns[name] = list(basis.to_rgb(patches).reshape(-1, side, side, 3))
    for column, (name, pictures) in enumerate(columns.items()):
        for line, picture in enumerate(pictures):
            axes[line, column].imshow(picture, interpolation='nearest')
            axes[line, column].set_axis_off()
        axes[0, column].set_title(name, fontsize=7)
    _save(figure, path)


def _some(sets: Sequence[EvaluationData], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Take images from all sets in turn, at equal steps within each."""
    share = [count // len(sets) + (number < count % len(sets)) for number in range(len(sets))]
    images, seen = [], []
    for data, wanted in zip(sets, share, strict=True):
        middle = (np.arange(wanted) + 0.5) * len(data) / max(wanted, 1)
        images.append(data.images[middle.astype(np.int64)].float())
        seen.append(data.seen[middle.astype(np.int64)])
    return torch.cat(images), torch.cat(seen)


def _visible(image: NDArray) -> NDArray:
    """Scale an image to 0...1 for display; values beyond 8 bits by their range."""
    low, high = (0.0, 255.0) if image.max() <= 255 else np.percentile(image, [1, 99])
    return ((image - low) / max(high - low, 1e-6)).clip(0, 1)


def _save(figure: Figure, path: str | Path) -> None:
    FigureCanvasAgg(figure)
    figure.tight_layout()
    with partial_file(path) as partial:
        figure.savefig(partial, format='png')
