"""Boxes around rasters and tiles in other CRSs, also across the antimeridian."""

import math
from collections.abc import Iterator
from functools import lru_cache

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from mssdf.errors import one_line
from mssdf.rasters.crs import (
    describe_crs,
    horizontal_crs,
    is_local,
    same_coordinates,
    turn_in_units,
)

Bounds = tuple[float, float, float, float]  # left, bottom, right, top


class CatalogError(ValueError):
    """An error for rasters that are missing or cannot be used."""


@lru_cache(maxsize=65536)
def box_in(crs: str, other: str, box: Bounds) -> Bounds:
    """Compute the box around a box in another CRS; PROJ takes 0.1 s to find an operation.

    Args:
        crs: WKT of the box's CRS.
        other: WKT of the target CRS.
        box: left, bottom, right and top of the box.

    Returns:
        Box whose left is below its right; longitudes that cross the antimeridian continue beyond
        it.

    Raises:
        CatalogError: if there is no operation between the CRSs.
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
            f'{one_line(error)}'
        ) from error
    left, bottom, right, top = found
    turn = turn_in_units(other)
    return (left, bottom, right + turn if turn and right < left else right, top)


def boxes_near(crs: str, other: str, box: Bounds, near: Bounds | None) -> Iterator[Bounds]:
    """Yield the boxes around a raster in another CRS, within an area of interest.

    A raster in degrees may reach around the Earth, which no plane shows at once. Of such a raster,
    only the part near the area is used, on either side of the antimeridian.

    Args:
        crs: WKT of the raster's CRS.
        other: WKT of the target CRS.
        box: left, bottom, right and top of the raster.
        near: left, bottom, right and top of the area of interest in the target CRS; None for all.

    Raises:
        CatalogError: if there is no operation between the CRSs.
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
        crs: WKT of the CRS of both.
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
