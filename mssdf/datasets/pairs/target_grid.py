"""The grid that everything is brought to, and its tiles."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import calculate_default_transform, transform_bounds

from ..grids import describe_crs, same_crs
from ..raster import RasterHeader
from ..units import horizontal_wkt
from .catalogue import Bounds, CataloguedRaster
from .places import CatalogueError

# Rounding in coordinates must not add a row of pixels.
SNAP = 1e-3


@dataclass(frozen=True)
class Rect:
    """Rows and columns of a grid, from the first to one after the last; rows count downwards."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, 0 or more."""
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
    """An endless north-up grid of square pixels.

    Attributes:
        crs: well-known text.
        pixel: side of a pixel in units of the CRS.
        anchor: x and y of a corner of pixels.
        tile: side of a tile in pixels.
    """

    crs: str
    pixel: float
    anchor: tuple[float, float]
    tile: int

    @property
    def code(self) -> str:
        """A name for files, such as ``epsg32633``."""
        epsg = CRS.from_wkt(self.crs).to_epsg()
        return f'epsg{epsg}' if epsg else 'local'

    def transform(self, rect: Rect) -> Affine:
        """From the pixels of a rectangle to the CRS."""
        x = self.anchor[0] + rect.left * self.pixel
        y = self.anchor[1] - rect.top * self.pixel
        return Affine(self.pixel, 0, x, 0, -self.pixel, y)

    def bounds(self, rect: Rect) -> Bounds:
        """Left, bottom, right and top of a rectangle."""
        x, y = self.anchor
        p = self.pixel
        return x + rect.left * p, y - rect.bottom * p, x + rect.right * p, y - rect.top * p

    def rect_of(self, bounds: Bounds) -> Rect:
        """The smallest rectangle of whole pixels around a box."""
        left, bottom, right, top = bounds
        x, y = self.anchor
        return Rect(
            math.floor((y - top) / self.pixel + SNAP),
            math.floor((left - x) / self.pixel + SNAP),
            math.ceil((y - bottom) / self.pixel - SNAP),
            math.ceil((right - x) / self.pixel - SNAP),
        )

    def tile_rect(self, row: int, col: int) -> Rect:
        """The pixels of a tile."""
        side = self.tile
        return Rect(row * side, col * side, (row + 1) * side, (col + 1) * side)

    def tiles_in(self, rect: Rect) -> Iterator[tuple[int, int]]:
        """Rows and columns of the tiles that a rectangle meets."""
        for row in range(rect.top // self.tile, -(-rect.bottom // self.tile)):
            for col in range(rect.left // self.tile, -(-rect.right // self.tile)):
                yield row, col


def make_grids(
    rasters: Sequence[CataloguedRaster], crs: str | None, resolution: float | None, tile: int
) -> list[TargetGrid]:
    """One grid for each CRS of the reference's rasters, or one for all.

    Pixels of rasters that need no resampling keep their place.

    Args:
        rasters: of the reference.
        crs: of the output; None keeps the rasters', but brings degrees to the zone of UTM.
        resolution: metres per pixel; None keeps that of the first raster of each CRS.
        tile: side of a tile in pixels.

    Raises:
        CatalogueError: for a CRS that is none, or that counts in degrees.
    """
    first: dict[str, CataloguedRaster] = {}
    if crs is not None:
        try:
            wkt = horizontal_wkt(CRS.from_user_input(crs).to_wkt())
        except Exception as error:
            raise CatalogueError(f'--crs {crs}: not a coordinate reference system') from error
        first[wkt] = rasters[0]
    else:
        for raster in rasters:
            wkt = projected_crs(raster)
            if not any(same_crs(wkt, known) for known in first):
                first[wkt] = raster
    return [_make_grid(wkt, raster, resolution, tile) for wkt, raster in first.items()]


def _make_grid(
    wkt: str, raster: CataloguedRaster, resolution: float | None, tile: int
) -> TargetGrid:
    crs = CRS.from_wkt(wkt)
    if not crs.is_projected:
        raise CatalogueError(
            f'--crs: expected a CRS in metres or feet, found {describe_crs(wkt)}, in degrees'
        )
    native = _native_transform(raster.source.header, wkt)
    pixel = abs(native.a)
    if resolution is not None:
        wanted = resolution / crs.linear_units_factor[1]
        # decimals of the file's own pixel size must not make another grid of it
        pixel = pixel if math.isclose(wanted, pixel, rel_tol=1e-4) else wanted
    square = math.isclose(abs(native.a), abs(native.e), rel_tol=1e-9)
    keeps = same_crs(raster.source.header.crs, wkt) and square and native.b == native.d == 0
    anchor = (native.c % pixel, native.f % pixel) if keeps and pixel == abs(native.a) else (0, 0)
    return TargetGrid(wkt, pixel, anchor, tile)


def _native_transform(header: RasterHeader, wkt: str) -> Affine:
    """The transform that the raster has, or would have in another CRS at its own resolution."""
    transform = Affine(*header.transform)
    if same_crs(header.crs, wkt):
        return transform
    corners = [transform * (x, y) for x in (0, header.width) for y in (0, header.height)]
    xs, ys = zip(*corners, strict=True)
    return calculate_default_transform(
        header.crs, wkt, header.width, header.height, min(xs), min(ys), max(xs), max(ys)
    )[0]


def projected_crs(raster: CataloguedRaster) -> str:
    """The raster's CRS, or the zone of UTM of its middle where that counts in degrees."""
    crs = CRS.from_wkt(raster.source.header.crs)
    if crs.is_projected:
        # heights come in metres, whatever the vertical CRS counts in
        return horizontal_wkt(raster.source.header.crs)
    left, bottom, right, top = transform_bounds(
        crs, 'EPSG:4326', *raster.bounds_in(raster.source.header.crs)
    )
    zone = int(((left + right) / 2 + 180) // 6) % 60 + 1
    return CRS.from_epsg((32600 if bottom + top >= 0 else 32700) + zone).to_wkt()
