"""Catalog of the rasters that pairs are made from, with their headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds

from mssdf.errors import one_line
from mssdf.rasters.band_source import BandSource, make_source
from mssdf.rasters.fill_values import find_fills
from mssdf.rasters.formats import check_lengths
from mssdf.rasters.georeference import require_grid
from mssdf.rasters.identity import is_complete, raster_facts
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.reader_threads import reader_threads
from mssdf.utils.folders import Listing, list_folder
from mssdf.utils.progress import track

from .boxes import Bounds, CatalogError, boxes_near
from .build_settings import SourceSettings


@dataclass(frozen=True)
class CatalogedRaster:
    """A raster with the settings for reading its pixels.

    Attributes:
        identity: values that change with the file or a file that it leads to: paths, sizes and
            times of change; for a file on a server also the grid.
        fills: share of heights with each value that usually marks a hole.

    Args:
        source: source with the header and the bands of the raster.
    """

    source: BandSource
    identity: tuple[Any, ...]
    fills: Mapping[float, float] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Path of the file."""
        return self.source.path

    @property
    def transform(self) -> Affine:
        """Transform from pixels to the CRS."""
        return Affine(*self.source.header.transform)

    @property
    def bounds(self) -> Bounds:
        """Left, bottom, right and top in the CRS, left below right and bottom below top."""
        header = self.source.header
        bounds = array_bounds(header.height, header.width, self.transform)
        (left, right), (bottom, top) = sorted(bounds[::2]), sorted(bounds[1::2])
        return left, bottom, right, top

    def boxes_in(self, crs: str, near: Bounds | None = None) -> list[Bounds]:
        """List the boxes around the raster in another CRS, within an area of interest.

        Args:
            crs: WKT of the target CRS.
            near: left, bottom, right and top of the area of interest in that CRS; None for all.

        Raises:
            CatalogError: if there is no operation from the raster's CRS.
        """
        try:
            return list(boxes_near(self.source.header.crs, crs, self.bounds, near))
        except CatalogError as error:
            raise CatalogError(f'{self.path}: {error}') from error

    def bounds_in(self, crs: str) -> Bounds:
        """Compute the box around the whole raster in another CRS.

        Raises:
            CatalogError: if there is no such box.
        """
        for box in self.boxes_in(crs):
            return box
        raise CatalogError(
            f'{self.path}: expected a raster that the CRS of the output can hold, found one outside'
        )


def open_catalog(
    modality: str, settings: SourceSettings, *, terrain: bool = False
) -> tuple[list[CatalogedRaster], dict[str, str]]:
    """Read the headers of a modality's rasters, many at once.

    Args:
        modality: name of the modality, for messages.
        settings: settings of the modality's rasters.
        terrain: whether the rasters of the ground are read instead.

    Returns:
        Rasters in the given order, and the reason for each that cannot be used.

    Raises:
        CatalogError: if none of them can be used.
    """
    paths = settings.terrain if terrain else settings.files
    listing = cache(list_folder)

    jobs = {
        path: reader_threads().submit(_open, path, settings, terrain, listing) for path in paths
    }

    usable: list[CatalogedRaster] = []
    refused: dict[str, str] = {}
    for path, job in track(jobs.items(), len(jobs), f'reading headers of {modality}'):
        try:
            usable.append(job.result())
        except (OSError, RasterioError, CPLE_BaseError, ValueError) as error:
            refused[path] = one_line(error)

    if not usable:
        first = next(iter(refused.values()), 'no file given')
        raise CatalogError(
            f'{modality}: expected a raster that can be used among {len(paths)}, '
            f'found none: {first}'
        )

    bands = {len(raster.source.bands) for raster in usable}
    if len(bands) > 1:
        raise CatalogError(
            f'{modality}: expected rasters of one number of bands, found {sorted(bands)}; choose '
            f'with --bands {modality}=...'
        )

    return usable, refused


def _open(path: str, settings: SourceSettings, terrain: bool, listing: Listing) -> CatalogedRaster:
    header = read_header(path)
    require_grid(header)
    bands: Sequence[int] | None = (1,) if terrain else settings.bands
    nodata = settings.terrain_nodata if terrain else settings.nodata
    unit = settings.terrain_unit if terrain else settings.unit
    source = make_source(header, bands, nodata=nodata, unit=unit)
    if terrain or settings.is_height:
        check_lengths(source, '--dtm-unit' if terrain else '--unit')

    facts = raster_facts(path, listing)
    identity: list[Any] = [*facts]
    if not is_complete(facts):
        identity += [header.height, header.width, *header.transform]
    return CatalogedRaster(source, tuple(identity), find_fills(source))
