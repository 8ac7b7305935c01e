"""Selection of the windows of a tile that are kept, with reasons for the others."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mssdf.rasters.windows import has_enough

from ..benchmarks.tiling import starts

EMPTY, FLAT, SMALL = 'empty', 'flat', 'smaller than a window'


def judge_windows(
    values: Mapping[str, NDArray],
    valid: Mapping[str, NDArray[np.bool_]],
    window: int,
    *,
    required: Sequence[str],
    max_invalid: float,
    min_contrast: Mapping[str, float],
) -> tuple[list[tuple[int, int]], dict[str, int]]:
    """Judge the windows of a grid that covers a tile completely.

    Args:
        values: image (C, H, W) of each modality, the reference first.
        valid: validity (H, W) of each modality.
        window: side of a window in pixels.
        required: names of the modalities that a window must have.
        max_invalid: largest share of invalid pixels in each required modality.
        min_contrast: standard deviation of each modality below which it counts as flat; a window is
            flat if all its modalities are.

    Returns:
        Rows and columns of the windows that are kept, and the number of dropped windows by reason:
        ``'empty'`` (the reference), ``'no NAME'``, ``'flat'``, ``'smaller than a window'``.
    """
    height, width = next(iter(valid.values())).shape
    if min(height, width) < window:
        return [], {SMALL: 1}
    kept: list[tuple[int, int]] = []
    dropped: dict[str, int] = {}
    for row in starts(height, window, window):
        for col in starts(width, window, window):
            place = (slice(row, row + window), slice(col, col + window))
            reason = _judge(place, values, valid, required, max_invalid, min_contrast)
            if reason is None:
                kept.append((row, col))
            else:
                dropped[reason] = dropped.get(reason, 0) + 1
    return kept, dropped


def _judge(
    place: tuple[slice, slice],
    values: Mapping[str, NDArray],
    valid: Mapping[str, NDArray[np.bool_]],
    required: Sequence[str],
    max_invalid: float,
    min_contrast: Mapping[str, float],
) -> str | None:
    """Return the reason to drop a window; None to keep it."""
    for name in required:
        if not has_enough(valid[name][place].mean(), max_invalid):
            return EMPTY if name == required[0] else f'no {name}'
    for name, modality in values.items():
        known = valid[name][place]
        if known.any() and contrast(modality[:, place[0], place[1]], known) >= min_contrast.get(
            name, 0.0
        ):
            return None
    return FLAT


def contrast(values: NDArray, valid: NDArray[np.bool_]) -> float:
    """Compute the largest standard deviation of a band (C, H, W) over valid pixels (H, W)."""
    return float(values[:, valid].std(axis=1, dtype=np.float64).max())
