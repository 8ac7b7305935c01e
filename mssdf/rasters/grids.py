"""The map from the pixels of one raster to those of another of the same CRS."""

import math
from dataclasses import dataclass

from affine import Affine
from rasterio.errors import CRSError
from rasterio.transform import array_bounds

from .crs import describe_crs, same_crs, turn_in_units
from .georeference import check_pixel_grids
from .raster_header import RasterHeader

__all__ = ['TOLERANCE', 'GridMap', 'describe_crs', 'map_grids', 'same_crs']

# Grids that nowhere differ by more than this, in pixels, are the same grid: far below what
# co-registration achieves, far above what coordinates lose in a file's decimals.
TOLERANCE = 0.02


@dataclass(frozen=True)
class GridMap:
    """Affine map from a reference grid to a source grid, axis by axis: y' = scale · y + offset.

    Coordinates count in pixels from the corner of the first pixel.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def aligned(self) -> bool:
        """Tell whether every reference pixel is one whole source pixel."""
        return self.scale == (1.0, 1.0) and all(float(o).is_integer() for o in self.offset)


def map_grids(reference: RasterHeader, source: RasterHeader) -> GridMap:
    """Compute the map from the pixels of ``reference`` to those of ``source``.

    Args:
        reference: header of the raster whose grid the windows lie on.
        source: header of the raster that is read.

    Raises:
        ValueError: if a file has no grid, the CRS differ, one grid is turned against the other,
            or they do not overlap.
    """
    check_pixel_grids(reference, source)
    try:
        same = same_crs(reference.crs, source.crs)
    except CRSError as error:
        raise ValueError(
            f'{source.path}: expected a CRS that can be compared with that of its reference '
            f'{reference.path}, found none: {error}'
        ) from error
    if not same:
        raise ValueError(
            f'{source.path}: expected the CRS of its reference {reference.path}, '
            f'{describe_crs(reference.crs)}, found {describe_crs(source.crs)}; '
            f'reproject one of them, for instance with gdalwarp'
        )

    # x' = xx · x + xy · y + x0, y' = yx · x + yy · y + y0
    to_source = ~Affine(*source.transform)
    to_world = Affine(*reference.transform)
    xx = to_source.a * to_world.a + to_source.b * to_world.d
    xy = to_source.a * to_world.b + to_source.b * to_world.e
    yx = to_source.d * to_world.a + to_source.e * to_world.d
    yy = to_source.d * to_world.b + to_source.e * to_world.e
    west = to_world.c + _whole_turns(reference, source)
    x0 = to_source.a * west + to_source.b * to_world.f + to_source.c
    y0 = to_source.d * west + to_source.e * to_world.f + to_source.f
    if not all(map(math.isfinite, (xx, xy, yx, yy, x0, y0))):
        raise ValueError(
            f'{source.path}: expected a grid that compares with that of its reference '
            f'{reference.path} {reference.transform}, found {source.transform}'
        )

    # resampling works axis by axis, so that the grids must be parallel to within the tolerance
    skew = max(abs(xy) * reference.height, abs(yx) * reference.width)
    if skew > TOLERANCE * max(1.0, abs(xx), abs(yy)):
        raise ValueError(
            f'{source.path}: expected a grid parallel to that of its reference {reference.path} '
            f'{reference.transform}, found {source.transform}'
        )

    rows = _map_axis(yy, y0, reference.height)
    cols = _map_axis(xx, x0, reference.width)
    for scale, offset, size, limit in (
        (*rows, reference.height, source.height),
        (*cols, reference.width, source.width),
    ):
        low, high = sorted((offset, scale * size + offset))
        if low >= limit or high <= 0:
            raise ValueError(
                f'{source.path}: expected a raster that overlaps its reference {reference.path} '
                f'with bounds {_bounds(reference)}, found bounds {_bounds(source)}'
            )
    return GridMap(scale=(rows[0], cols[0]), offset=(rows[1], cols[1]))


def _whole_turns(reference: RasterHeader, source: RasterHeader) -> float:
    """Find the turn of the reference's longitudes that brings them nearest to the source's.

    Rasters on either side of the antimeridian count to 180 degrees or beyond; both are right.
    """
    turn = turn_in_units(reference.crs) if reference.crs else None
    if turn is None:
        return 0.0
    return turn * round((_middle_x(source) - _middle_x(reference)) / turn)


def _middle_x(header: RasterHeader) -> float:
    a, b, c = header.transform[:3]
    return a * header.width / 2 + b * header.height / 2 + c


def _map_axis(scale: float, offset: float, size: int) -> tuple[float, float]:
    """Round an axis to whole pixels where it is so close that decimals must be the cause."""
    nearest = float(round(offset))
    ends = (offset - nearest, scale * size + offset - nearest - size)
    return (1.0, nearest) if max(map(abs, ends)) <= TOLERANCE else (scale, offset)


def _bounds(header: RasterHeader) -> tuple[float, ...]:
    bounds = array_bounds(header.height, header.width, Affine(*header.transform))
    (left, right), (bottom, top) = sorted(bounds[::2]), sorted(bounds[1::2])
    return tuple(round(value, 3) for value in (left, bottom, right, top))
