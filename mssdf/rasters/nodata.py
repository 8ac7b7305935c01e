"""Nodata values as the pixels of a file can hold them."""

import math

import numpy as np
from numpy.typing import NDArray

# Bits of the mantissa of floats that TIFF stores in fewer than 32 bits.
MANTISSA = {16: 10, 24: 16}
# Exponents of the smallest normal numbers of those floats, and of the first beyond the largest.
EXPONENTS = {16: (-14, 16), 24: (-62, 64)}

# Integers of fewer bits hold masks or classes, in which the largest value means something.
LEAST_BITS = 9


def nodata_as(
    dtype: np.dtype, given: float | str | None, stored: float | None, bits: int = 0
) -> float | None:
    """Convert a nodata value to one that pixels of the type can hold.

    Args:
        dtype: type of the pixels.
        given: None takes the file's value, a number replaces it, ``'ignore'`` does without.
        stored: value that the file declares.
        bits: bits of a pixel in the file, 0 for all of the type's. GDAL clips larger integers.

    Returns:
        The value, None when no pixel can equal it.
    """
    value = stored if given is None else given
    if value is None or value == 'ignore':
        return None
    value = float(value)
    if dtype.kind == 'f':
        # NaN is never a value. A decimal nodata is compared as it was rounded on writing.
        with np.errstate(over='ignore'):
            return None if np.isnan(value) else float(dtype.type(value))
    if LEAST_BITS <= bits < 8 * dtype.itemsize:
        value = min(value, 2.0**bits - 1)
    info = np.iinfo(dtype)
    return value if value.is_integer() and info.min <= value <= info.max else None


def nodata_slack(dtype: np.dtype, value: float | None, bits: int, max_error: float) -> float:
    """Compute the distance from a nodata value within which a pixel stands for it.

    Args:
        dtype: type of the pixels.
        value: nodata value, None for none.
        bits: bits of a pixel in the file, 0 for all of the type's.
        max_error: largest error of a lossy compression (LERC), 0 for none.
    """
    if value is None or not math.isfinite(value):
        return 0.0
    slack = max_error
    if dtype.kind == 'f':
        slack += _spacing_at(value, 16 if dtype.itemsize == 2 else bits)
    if dtype == np.float64 and abs(value) <= np.finfo(np.float32).max:
        # the values may have come from a float32 raster
        single = np.float32(value)
        slack += 0.0 if float(single) == value else float(np.spacing(abs(single)))
    return slack


def _spacing_at(value: float, bits: int) -> float:
    """Compute the gap between the numbers of so many bits around a value; 0 if it is one."""
    if bits not in MANTISSA or value == 0:
        return 0.0
    lowest, beyond = EXPONENTS[bits]
    exponent = max(math.frexp(abs(value))[1] - 1, lowest)
    if exponent >= beyond:
        return 0.0
    spacing = 2.0 ** (exponent - MANTISSA[bits])
    return 0.0 if (value / spacing).is_integer() else spacing


def differs(band: NDArray, value: float | None, slack: float) -> NDArray[np.bool_]:
    """Mark pixels (H, W) that are not the nodata value."""
    if value is None:
        return np.ones(band.shape, dtype=bool)
    if not slack:
        return np.asarray(band != band.dtype.type(value))
    with np.errstate(invalid='ignore', over='ignore'):
        return np.asarray(~(np.abs(band.astype(np.float64) - value) <= slack))
