"""Conversion of label maps in colors to indices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def indices_from_colors(
    image: NDArray[np.uint8],
    palette: Sequence[Sequence[int]],
    path: str | Path,
    tolerance: int = 0,
) -> NDArray[np.uint8]:
    """Replace each color by its index in the palette.

    Args:
        image: image (H, W, 3) in red, green and blue.
        palette: colors, at most 255.
        path: path of the image, for the error.
        tolerance: largest difference of red, green and blue each from a color of the palette.

    Returns:
        Indices (H, W).

    Raises:
        ValueError: if the image does not have three bands, or a color is missing in the palette;
            the first such color is named.
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'{path}: expected labels as colors of 3 bands, found {image.shape}')
    labels = np.full(image.shape[:2], 255, np.uint8)
    for index, color in enumerate(palette):
        distance = np.abs(image.astype(np.int16) - np.asarray(color, np.int16)).max(axis=2)
        labels[(distance <= tolerance) & (labels == 255)] = index
    unknown = labels == 255
    if unknown.any():
        row, col = np.argwhere(unknown)[0]
        raise ValueError(
            f'{path}: expected the colors {[tuple(color) for color in palette]}, found '
            f'{tuple(int(value) for value in image[row, col])} at row {row}, column {col} '
            f'({unknown.sum()} such pixels; --tolerance takes near colors)'
        )
    return labels
