"""Grid of the output, and its tiles."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import calculate_default_transform, transform

from mssdf.errors import one_line
from mssdf.rasters.crs import (
    describe_crs,
    horizontal_crs,
    is_local,
    meters_per_unit,
    same_coordinates,
    turn_in_units,
)
from mssdf.rasters.grids import TOLERANCE

from .boxes import Bounds, CatalogError
from .catalog import CatalogedRaster
from .orientation import pixel_sides, upright

# Rounding in coordinates must not add a row of pixels.
SNAP = TOLERANCE
# Pixels that are square up to this rounding are kept as they are.
NEARLY_SQUARE = 1e-3


@dataclass(frozen=True)
class Rect:
    """A rectangle of rows and columns of a grid, each from the first to one after the last."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of rows and columns, 0 or more."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    def __and__(self, other: 'Rect') -> 'Rect':
        return Rect(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def __or__(self, other: 'Rect') -> 'Rect':
        return Rect(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


@dataclass(frozen=True)
class TargetGrid:
    """An infinite north-up grid of square pixels.

    Attributes:
        crs: WKT of the CRS.
        pixel: width of a pixel in units of the CRS.
        anchor: x and y of one pixel corner.
        tile: side of a tile in pixels.
        aspect: height of a pixel divided by its width; 1 up to the rounding of a file's own pixel
            size.
    """

    crs: str
    pixel: float
    anchor: tuple[float, float]
    tile: int
    aspect: float = 1.0

    @property
    def code(self) -> str:
        """Name for files, such as ``epsg32633``."""
        epsg = CRS.from_wkt(self.crs).to_epsg()
        return f'epsg{epsg}' if epsg else 'local'

    def transform(self, rect: Rect) -> Affine:
        """Compute the transform from the pixels of a rectangle to the CRS."""
        left, _, _, top = self.bounds(rect)
        return Affine(self.pixel, 0, left, 0, -self.pixel * self.aspect, top)

    def bounds(self, rect: Rect) -> Bounds:
        """Compute left, bottom, right and top of a rectangle."""
        x, y = self.anchor
        width, height = self.pixel, self.pixel * self.aspect
        return (
            x + rect.left * width,
            y - rect.bottom * height,
            x + rect.right * width,
            y - rect.top * height,
        )

    def rect_of(self, bounds: Bounds) -> Rect:
        """Find the smallest rectangle of whole pixels around a box."""
        left, bottom, right, top = bounds
        x, y = self.anchor
        width, height = self.pixel, self.pixel * self.aspect
        return Rect(
            math.floor((y - top) / height + SNAP),
            math.floor((left - x) / width + SNAP),
            math.ceil((y - bottom) / height - SNAP),
            math.ceil((right - x) / width - SNAP),
        )

    def tile_rect(self, row: int, col: int) -> Rect:
        """Return the pixels of a tile."""
        side = self.tile
        return Rect(row * side, col * side, (row + 1) * side, (col + 1) * side)

    def tiles_in(self, rect: Rect) -> Iterator[tuple[int, int]]:
        """Yield rows and columns of the tiles that a rectangle meets."""
        for row in range(rect.top // self.tile, -(-rect.bottom // self.tile)):
            for col in range(rect.left // self.tile, -(-rect.right // self.tile)):
                yield row, col


def make_grids(
    rasters: Sequence[CatalogedRaster], crs: str | None, resolution: float | None, tile: int
) -> list[TargetGrid]:
    """Make one grid for each CRS of the reference's rasters, or one for all.

    Pixels of rasters that need no resampling keep their position.

    Args:
        rasters: rasters of the reference.
        crs: CRS of the output; None keeps that of the rasters, with UTM zones in place of degrees.
        resolution: meters per pixel; None keeps that of the first raster in each CRS.
        tile: side of a tile in pixels.

    Raises:
        CatalogError: if a CRS is invalid or in degrees.
    """
    first: dict[str, CatalogedRaster] = {}
    if crs is not None:
        try:
            wkt = horizontal_crs(CRS.from_user_input(crs).to_wkt())
        except Exception as error:
            raise CatalogError(
                f'--crs: expected a coordinate reference system, found {crs!r}'
            ) from error
        first[wkt] = rasters[0]
    else:
        for raster in rasters:
            wkt = plane_crs(raster)
            if not any(same_coordinates(wkt, known) for known in first):
                first[wkt] = raster
    grids = [_make_grid(wkt, raster, resolution, tile) for wkt, raster in first.items()]
    _check_names(grids)
    return grids


def _check_names(grids: Sequence[TargetGrid]) -> None:
    """Refuse grids whose tiles would have the same file names."""
    by_code: dict[str, TargetGrid] = {}
    for grid in grids:
        other = by_code.setdefault(grid.code, grid)
        if other is not grid:
            raise CatalogError(
                f'expected CRSs with EPSG codes of their own, as files are named for them, found '
                f'{describe_crs(other.crs)} and {describe_crs(grid.crs)}; choose one with --crs'
            )


def _make_grid(
    wkt: str, raster: CatalogedRaster, resolution: float | None, tile: int
) -> TargetGrid:
    """Make the grid of one CRS, with the raster's own pixels if possible."""
    meters = meters_per_unit(wkt)
    if meters is None:
        raise CatalogError(
            f'--crs: expected a CRS in meters or feet, found {describe_crs(wkt)}, in degrees'
        )

    native, size = _native_grid(raster, wkt)
    width, height = pixel_sides(native)
    pixel = width

    if resolution is not None:
        wanted = resolution / meters
        # The decimals of the file's own pixel size must not lead to a different grid.
        pixel = pixel if math.isclose(wanted, pixel, rel_tol=1e-4) else wanted

    # A raster keeps its pixels if they are square, upright and in the CRS of the output.
    keeps = (
        same_coordinates(raster.source.header.crs, wkt)
        and math.isclose(width, height, rel_tol=NEARLY_SQUARE)
        and max(abs(native.b) * size[0], abs(native.d) * size[1]) <= TOLERANCE * width
    )

    if not keeps or pixel != width:
        return TargetGrid(wkt, pixel, (0, 0), tile)
    return TargetGrid(wkt, width, (native.c % width, native.f % height), tile, height / width)


def _native_grid(raster: CatalogedRaster, wkt: str) -> tuple[Affine, tuple[int, int]]:
    """Compute the grid that a raster has, or would have in another CRS at its own resolution.

    Returns:
        Transform from its pixels, counted eastwards and southwards, and numbers of rows and
        columns.
    """
    header = raster.source.header

    place, (rows, cols) = upright(raster.transform, (header.height, header.width))
    if same_coordinates(header.crs, wkt):
        return place, (rows, cols)

    if is_local(header.crs) or is_local(wkt):
        raster.boxes_in(wkt)  # raises the error with the reason

    width, height = pixel_sides(place)
    x, y = place * (cols / 2, rows / 2)

    try:
        found, found_cols, found_rows = calculate_default_transform(
            horizontal_crs(header.crs),
            wkt,
            cols,
            rows,
            x - width * cols / 2,
            y - height * rows / 2,
            x + width * cols / 2,
            y + height * rows / 2,
        )
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        raise CatalogError(
            f'{raster.path}: expected a raster that {describe_crs(wkt)} can hold, found bounds '
            f'{raster.bounds} in {describe_crs(header.crs)}: {one_line(error)}'
        ) from error

    return found, (int(found_rows or 0), int(found_cols or 0))


def plane_crs(raster: CatalogedRaster) -> str:
    """Return the raster's horizontal CRS, or the UTM zone of its middle if that is in degrees.

    Raises:
        CatalogError: if the CRS is neither a plane nor in degrees.
    """
    crs = horizontal_crs(raster.source.header.crs)
    if meters_per_unit(crs) is not None:
        return crs
    if turn_in_units(crs) is None:
        raise CatalogError(
            f'{raster.path}: expected a CRS of a plane or of longitude and latitude, found '
            f'{describe_crs(crs)}'
        )
    left, bottom, right, top = raster.bounds
    (longitude,), (latitude,) = transform(
        crs, 'EPSG:4326', [(left + right) / 2], [(bottom + top) / 2]
    )
    zone = int((longitude + 180) // 6) % 60 + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone).to_wkt()
