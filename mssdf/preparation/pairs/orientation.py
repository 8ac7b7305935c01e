"""Rotated or mirrored grids, brought as close to north-up as quarter turns do."""

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray


def upright(transform: Affine, size: tuple[int, int]) -> tuple[Affine, tuple[int, int]]:
    """Compute the transform of the same pixels counted eastwards and southwards.

    Args:
        transform: transform from pixels to the CRS.
        size: numbers of rows and columns.

    Returns:
        Transform and numbers of rows and columns after :func:`turn_upright`.
    """
    swapped, eastwards, southwards = _turns(transform)
    a, b, c, d, e, f = tuple(transform)[:6]
    rows, cols = size
    if swapped:
        a, b, d, e, rows, cols = b, a, e, d, cols, rows
    if not eastwards:
        a, c, d, f = -a, c + a * cols, -d, f + d * cols
    if not southwards:
        b, c, e, f = -b, c + b * rows, -e, f + e * rows
    return Affine(a, b, c, d, e, f), (rows, cols)


def turn_upright(values: NDArray, transform: Affine) -> NDArray:
    """Reorder the pixels (..., H, W) of a raster to count eastwards and southwards."""
    swapped, eastwards, southwards = _turns(transform)
    if swapped:
        values = values.swapaxes(-1, -2)
    values = values if eastwards else values[..., ::-1]
    return np.ascontiguousarray(values if southwards else values[..., ::-1, :])


def _turns(transform: Affine) -> tuple[bool, bool, bool]:
    """Tell whether rows and columns swap, and whether the new ones run eastwards and southwards."""
    a, b, _, d, e, _ = tuple(transform)[:6]
    swapped = abs(b * d) > abs(a * e)
    if swapped:
        a, e = b, d
    return swapped, a > 0, e < 0


def pixel_sides(transform: Affine) -> tuple[float, float]:
    """Compute width and height of a pixel in units of the CRS, also of rotated grids."""
    return math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
