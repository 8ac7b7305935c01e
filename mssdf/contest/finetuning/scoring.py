"""Sums over each test image from the predictions that ``tools/test.py`` has saved."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mssdf.evaluation.frozen.reading import read_heights
from mssdf.evaluation.frozen.scores import confusion_sums, error_sums
from mssdf.rasters.checked_opening import open_checked

CLASSES = 2  # background and building
IGNORED = 255


def image_sums(
    kind: str, predictions: Path, truths: Mapping[str, Path]
) -> tuple[list[str], NDArray[np.float64]]:
    """Compare the predictions with the truth, image by image.

    Args:
        kind: kind of the task: ``'buildings'``, ``'heights'`` or ``'scenes'``.
        predictions: folder that ``tools/test.py --out`` has written.
        truths: path of the truth by image; empty for scenes, whose table has it.

    Returns:
        Names of the images, sorted, and their sums (N, Q), as required by
        :mod:`mssdf.evaluation.frozen.scores`.

    Raises:
        FileNotFoundError: if a prediction is missing.
        ValueError: if a prediction does not fit its truth.
    """
    if kind == 'scenes':
        return _scene_sums(predictions / 'predictions.csv')
    names = sorted(truths)
    sums = [
        _map_sums(kind, truths[name], _prediction_of(predictions, name))[None] for name in names
    ]
    return names, np.concatenate(sums)


def _scene_sums(table: Path) -> tuple[list[str], NDArray[np.float64]]:
    with table.open(newline='') as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row['file'])
    right = [[float(row['truth'] == row['predicted']), 1.0] for row in rows]
    # The folder is the class, which makes names unique.
    return ['/'.join(Path(row['file']).parts[-2:]) for row in rows], np.array(right)


def _map_sums(kind: str, truth_file: Path, predicted_file: Path) -> NDArray[np.float64]:
    truth = read_heights(truth_file) if kind == 'heights' else read_map(truth_file)
    predicted = read_map(predicted_file)
    if truth.shape != predicted.shape:
        raise ValueError(
            f'{predicted_file}: expected the size of {truth_file} {truth.shape}, '
            f'found {predicted.shape}'
        )
    if kind == 'heights':
        known = np.isfinite(truth)
        return error_sums(truth.reshape(1, -1), predicted.reshape(1, -1), known.reshape(1, -1))[0]
    labels = np.where(truth == IGNORED, -1, truth).astype(np.int64)
    if labels.max() >= CLASSES:
        raise ValueError(
            f'{truth_file}: expected a mask of 0, 1 (building) and {IGNORED} (unknown), '
            f'found {labels.max()}'
        )
    guess = predicted.astype(np.int64)
    return confusion_sums(labels.reshape(1, -1), guess.reshape(1, -1), CLASSES)[0]


def read_map(path: Path) -> NDArray:
    """Read the values (H, W) of a map's first band."""
    with open_checked(path) as raster:
        return raster.read(1)


def _prediction_of(folder: Path, name: str) -> Path:
    for suffix in ('.png', '.tif'):
        if (folder / f'{name}{suffix}').is_file():
            return folder / f'{name}{suffix}'
    raise FileNotFoundError(f'{folder / name}: expected a prediction .png or .tif, found none')
