"""Boxes around rasters and tiles in other CRSs, across the antimeridian as elsewhere."""

import math
from collections.abc import Iterator
from functools import lru_cache

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from mssdf.rasters.crs import (
    describe_crs,
    horizontal_crs,
    is_local,
    same_coordinates,
    turn_in_units,
)

Bounds = tuple[float, float, float, float]  # left, bottom, right, top


class CatalogError(ValueError):
    """Rasters that are not there, or that cannot be used."""


@lru_cache(maxsize=65536)
def box_in(crs: str, other: str, box: Bounds) -> Bounds:
    """The box around a box in another CRS; PROJ takes a tenth of a second to look for the way.

    Args:
        crs: well-known text of the box's CRS.
        other: well-known text of the CRS wanted.
        box: left, bottom, right and top.

    Returns:
        The box, its left below its right: longitudes that cross the antimeridian go on beyond it.

    Raises:
        CatalogError: when there is no way from one CRS to the other.
    """
    if same_coordinates(crs, other):
        return box
    if is_local(crs) or is_local(other):
        raise CatalogError(
            f'expected rasters of one CRS, as a local one has no place on the Earth, found '
            f'{describe_crs(crs)} and {describe_crs(other)}'
        )
    try:
        found = transform_bounds(horizontal_crs(crs), horizontal_crs(other), *box, densify_pts=21)
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        raise CatalogError(
            f'expected coordinates that {describe_crs(other)} can hold, found '
            f'{tuple(round(value, 3) for value in box)} in {describe_crs(crs)}: '
            f'{" ".join(str(error).split())}'
        ) from error
    left, bottom, right, top = found
    turn = turn_in_units(other)
    return (left, bottom, right + turn if turn and right < left else right, top)


def boxes_near(crs: str, other: str, box: Bounds, near: Bounds | None) -> Iterator[Bounds]:
    """The boxes around a raster in another CRS, where that is of interest.

    A raster in degrees may reach around the Earth, which no plane shows at once: of such a one
    only what lies near is looked at, on either side of the antimeridian.

    Args:
        crs: well-known text of the raster's CRS.
        other: well-known text of the CRS wanted.
        box: left, bottom, right and top of the raster.
        near: left, bottom, right and top of interest in the CRS wanted; None for all.

    Raises:
        CatalogError: when there is no way from one CRS to the other.
    """
    if near is None or turn_in_units(crs) is None:
        parts = [box]
    else:
        wanted = box_in(other, crs, near)
        shifted = ((box[0] + x, box[1], box[2] + x, box[3]) for x in turns_to(crs, box, wanted))
        parts = [_common(one, wanted) for one in shifted]
    for part in parts:
        if part[0] < part[2] and part[1] < part[3]:
            found = box_in(crs, other, part)
            if all(map(math.isfinite, found)):
                yield found


def turns_to(crs: str, box: Bounds, wanted: Bounds) -> list[float]:
    """Find the whole turns of longitude that bring a raster in degrees over a box.

    Args:
        crs: well-known text of the CRS of both.
        box: left, bottom, right and top of the raster.
        wanted: left, bottom, right and top of the other box.

    Returns:
        Turns in units of the CRS; zero alone for any other CRS.
    """
    turn = turn_in_units(crs)
    if turn is None:
        return [0.0]
    first = math.ceil((wanted[0] - box[2]) / turn)
    last = math.floor((wanted[2] - box[0]) / turn)
    return [number * turn for number in range(first, last + 1)]


def _common(one: Bounds, two: Bounds) -> Bounds:
    return max(one[0], two[0]), max(one[1], two[1]), min(one[2], two[2]), min(one[3], two[3])
