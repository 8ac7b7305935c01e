"""The rasters that pairs are made from: which there are, and what their headers say."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from affine import Affine
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from ..grids import same_crs
from ..progress import track
from ..raster import BandSource, make_source, read_header
from ..reader_threads import reader_threads
from .settings import SourceSettings

VIRTUAL = '/vsi'
RASTERS = ('.tif', '.tiff', '.vrt', '.jp2', '.img', '.asc', '.png', '.jpg')
Bounds = tuple[float, float, float, float]  # left, bottom, right, top


class CatalogueError(ValueError):
    """Rasters that are not there, or that cannot be used."""


@dataclass(frozen=True)
class CataloguedRaster:
    """A raster, and how its pixels are read.

    Attributes:
        identity: what changes when the file does: path, size and time of change; the size in
            pixels for what lies on a server.
    """

    source: BandSource
    identity: tuple[Any, ...]

    @property
    def path(self) -> str:
        """The file."""
        return self.source.path

    @property
    def transform(self) -> Affine:
        """From its pixels to its CRS."""
        return Affine(*self.source.header.transform)

    def bounds_in(self, crs: str) -> Bounds:
        """The box around the raster in another CRS."""
        header = self.source.header
        bounds = array_bounds(header.height, header.width, self.transform)
        left, right = sorted(bounds[::2])
        bottom, top = sorted(bounds[1::2])
        return box_in(header.crs, crs, (left, bottom, right, top))


@lru_cache(maxsize=65536)
def box_in(crs: str, other: str, box: Bounds) -> Bounds:
    """The box around a box in another CRS; PROJ takes a tenth of a second to look for the way."""
    if same_crs(crs, other):
        return box
    return transform_bounds(crs, other, *box, densify_pts=21)


def find_rasters(places: Iterable[str]) -> tuple[str, ...]:
    """The rasters meant by folders, patterns, lists (.txt) and single names, in that order.

    Args:
        places: a folder stands for all rasters below it; a ``.txt`` for the names in its lines,
            which count from its folder; what begins with ``/vsi`` is taken as it stands.

    Raises:
        CatalogueError: where nothing is found.
    """
    found: dict[str, None] = {}
    for place in places:
        names = _names_at(place)
        if not names:
            raise CatalogueError(
                f'{place}: expected a raster, a folder of rasters ({", ".join(RASTERS)}), a '
                'pattern or a .txt with one name in a line; found none'
            )
        found |= dict.fromkeys(names)
    return tuple(found)


def _names_at(place: str) -> list[str]:
    if place.startswith(VIRTUAL):
        return [place]
    path = Path(os.path.expanduser(place))
    if path.is_dir():
        inside = (p for p in path.rglob('*') if p.suffix.lower() in RASTERS and p.is_file())
        return sorted(str(p.absolute()) for p in inside)
    if path.is_file() and path.suffix == '.txt':
        lines = [line.strip() for line in path.read_text().splitlines()]
        return [
            line if line.startswith(VIRTUAL) else str((path.parent / line).absolute())
            for line in lines
            if line and not line.startswith('#')
        ]
    if path.is_file():
        return [str(path.absolute())]
    return sorted(os.path.abspath(name) for name in glob.glob(str(path), recursive=True))


def open_catalogue(
    modality: str, settings: SourceSettings, *, terrain: bool = False
) -> tuple[list[CataloguedRaster], dict[str, str]]:
    """Read the headers of a modality's rasters, many at once.

    Args:
        modality: its name, for messages.
        settings: of the modality.
        terrain: take the rasters of the ground instead.

    Returns:
        The rasters in the order given, and the reason for each that cannot be used.

    Raises:
        CatalogueError: when none of them can.
    """
    paths = settings.terrain if terrain else settings.files
    jobs = {path: reader_threads().submit(_open, path, settings, terrain) for path in paths}
    usable: list[CataloguedRaster] = []
    refused: dict[str, str] = {}
    for path, job in track(jobs.items(), len(jobs), f'reading headers of {modality}'):
        try:
            usable.append(job.result())
        except (OSError, RasterioError, ValueError) as error:
            refused[path] = ' '.join(str(error).split())
    if not usable:
        first = next(iter(refused.values()), 'no file given')
        raise CatalogueError(f'{modality}: none of {len(paths)} rasters can be used: {first}')
    bands = {len(raster.source.bands) for raster in usable}
    if len(bands) > 1:
        raise CatalogueError(
            f'{modality}: expected rasters of one number of bands, found {sorted(bands)}; choose '
            f'with --bands {modality}=...'
        )
    return usable, refused


def _open(path: str, settings: SourceSettings, terrain: bool) -> CataloguedRaster:
    header = read_header(path)
    if not header.crs:
        raise ValueError(f'{path}: expected a CRS, found none')
    bands: Sequence[int] | None = (1,) if terrain else settings.bands
    nodata = None if terrain else settings.nodata
    source = make_source(header, bands, nodata=nodata)
    if path.startswith(VIRTUAL):
        identity: tuple[Any, ...] = (path, header.height, header.width, *header.transform)
    else:
        status = os.stat(path)
        identity = (path, status.st_size, status.st_mtime_ns)
    return CataloguedRaster(source, identity)
