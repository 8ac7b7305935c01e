"""Checks and helpers that the transforms share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.errors import ConfigError

Results = dict[str, Any]


def check_probability(name: str, value: float) -> float:
    """Check and return a probability.

    Raises:
        ValueError: when it is no probability.
    """
    if not 0 <= value <= 1:
        raise ConfigError(name, 'a probability from 0 to 1', value)
    return float(value)


def window_shape(results: Results) -> tuple[int, int]:
    """Return height and width, common to all modalities."""
    height, width = next(iter(results['valid'].values())).shape
    return height, width


def present(results: Results) -> list[str]:
    """List the modalities with any valid pixel."""
    return [modality for modality, valid in results['valid'].items() if np.any(valid)]


def map_planes(change: Callable[[NDArray], NDArray], array: NDArray) -> NDArray:
    """Apply an OpenCV function to each band of an image, or to a single plane.

    Args:
        change: function of a plane (H, W) that returns a plane, possibly of another size.
        array: image (C, H, W), or plane (H, W); a plane of bool is handed over as uint8.

    Returns:
        The changed image (C, H', W') or plane (H', W'), of the given type.
    """
    if array.ndim == 2:
        return change(array.view(np.uint8)).view(bool) if array.dtype == bool else change(array)
    if len(array) == 1:
        return change(array[0])[None]
    return np.stack([change(plane) for plane in array])
