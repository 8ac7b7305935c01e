"""Values that usually mark holes, where a file takes them for heights."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from .band_source import BandSource
from .opening import open_raster
from .pixels import read_values
from .read_errors import READ_ERRORS, is_local

# Values below are no heights on land, nor are those above; both are what writers of files use.
FILLS = (
    *(-99999.0, -32768.0, -32767.0, -9999.0, -999.0),
    *(9999.0, 32767.0, 65535.0, 99999.0),
)
# A value marks holes when it is more frequent than all others within this share of it: in an index
# from -10000 to 10000 each of them is an ordinary one.
ALONE = 0.05

# Pixels read of a raster to look for them: all of 2048 x 2048, else as many in windows all over it.
SAMPLED, SIDE = 2048 * 2048, 256

# Zeros along a whole edge are a hole unless heights come near: all but so many lie this far from 0.
NEAR, CLOSE_SHARE = 1.0, 0.05
# Pixels along an edge from which zeros say something.
LEAST_EDGE = 16


def count_fills(
    values: NDArray, valid: NDArray[np.bool_], scale: float = 1.0, offset: float = 0.0
) -> dict[float, int]:
    """Count heights that are usual fill values.

    Args:
        values: (H, W), those stored times ``scale`` plus ``offset``.
        valid: (H, W).
        scale: factor that the values were multiplied by.
        offset: number that was added to them.

    Returns:
        Number of pixels by value as stored, less those without any.
    """
    heights = values[valid]
    if not heights.size:
        return {}
    ends = [(float(end) - offset) / scale for end in (heights.min(), heights.max())]
    low, high = min(ends), max(ends)
    if low > -998 and high < 9998:
        return {}
    stored = (heights.astype(np.float64) - offset) / scale
    counts: dict[float, int] = {}
    for fill in FILLS:
        if low - 1 <= fill <= high + 1:
            distance = np.abs(stored - fill)
            count = int(np.count_nonzero(distance <= 1e-6 * abs(fill)))
            around = int(np.count_nonzero(distance <= ALONE * abs(fill))) - count
            # -32768 lies beside -32767
            if count and count > around - sum(counts.values()):
                counts[fill] = count
    return counts


def find_fills(source: BandSource) -> dict[float, float]:
    """Look for usual fill values among the heights of a raster.

    A raster that cannot be read has none: whoever needs its pixels says what is wrong with it.

    Args:
        source: band that may hold heights, in a local file.

    Returns:
        Share of the valid pixels by value; exact for rasters of up to 2048 x 2048 pixels.
    """
    if not source.may_be_heights or not is_local(source.path):
        return {}
    try:
        with open_raster(source.path) as raster:
            return _find(raster, source)
    except READ_ERRORS:
        return {}


def _find(raster: DatasetReader, source: BandSource) -> dict[float, float]:
    counts: dict[float, int] = {}
    total = zeros = near = 0
    for window in _windows(source.header.height, source.header.width):
        values, valid = read_values(raster, source, window)
        for fill, count in count_fills(values[0], valid).items():
            counts[fill] = counts.get(fill, 0) + count
        heights = values[0][valid]
        total += heights.size
        zeros += int(np.count_nonzero(heights == 0))
        near += int(np.count_nonzero((heights != 0) & (np.abs(heights) < NEAR)))
    others = total - zeros - sum(counts.values())
    if zeros and others and near < CLOSE_SHARE * others and _has_blank_edge(raster, source):
        counts[0.0] = zeros
    return {fill: count / total for fill, count in counts.items()}


def _windows(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """List windows that cover a raster, or as many as are read of a large one."""
    count = int((SAMPLED // SIDE**2) ** 0.5)
    whole = height * width <= SAMPLED
    rows, cols = (
        range(0, size, SIDE)
        if whole or size <= count * SIDE
        else np.linspace(0, size - SIDE, count).astype(int)
        for size in (height, width)
    )
    for row in rows:
        for col in cols:
            yield int(row), int(col), min(SIDE, height - int(row)), min(SIDE, width - int(col))


def _has_blank_edge(raster: DatasetReader, source: BandSource) -> bool:
    """Tell whether all valid pixels along one edge are 0."""
    height, width = source.header.height, source.header.width
    edges = (
        (0, 0, 1, width),
        (height - 1, 0, 1, width),
        (0, 0, height, 1),
        (0, width - 1, height, 1),
    )
    for edge in edges:
        if max(edge[2:]) < LEAST_EDGE:
            continue
        values, valid = read_values(raster, source, edge)
        if valid.mean() > 0.5 and not values[0][valid].any():
            return True
    return False


def describe_fills(found: Mapping[str, Mapping[float, float]], option: str) -> str | None:
    """Describe which files take fill values for heights, and the setting that leaves them out.

    Args:
        found: shares of :func:`find_fills` by path.
        option: setting that names a nodata value, such as ``'--nodata dsm='``.

    Returns:
        One sentence, None without any.
    """
    by_value: dict[float, list[tuple[float, str]]] = {}
    for path, shares in found.items():
        for value, share in shares.items():
            by_value.setdefault(value, []).append((share, path))
    if not by_value:
        return None
    said = []
    for value, places in sorted(by_value.items()):
        share, path = max(places)
        more = f' and others in {len(places) - 1} more' if len(places) > 1 else ''
        said.append(f'{value:g} in {share:.1%} of {path}{more} ({option}{value:g} leaves them out)')
    return f'expected heights, found values that usually mark holes: {"; ".join(said)}'
