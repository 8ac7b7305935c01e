"""Headers of raster files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from .checked_opening import open_checked
from .opening import damaged_header
from .palette import read_palette

# Where GDAL says how pixels are stored.
STRUCTURE = 'IMAGE_STRUCTURE'


@dataclass(frozen=True)
class RasterHeader:
    """The header of a raster, enough to check grids without opening it again.

    Attributes:
        path: path of the file.
        crs: well-known text of the coordinate reference system, '' for none.
        transform: affine coefficients (a, b, c, d, e, f) from pixel to world coordinates.
        height: number of rows.
        width: number of columns.
        dtypes: type of each band of the file.
        nodata: nodata value of each band, None for none.
        scales: scale of each band.
        offsets: offset of each band.
        alpha: number of the band tagged as alpha, None for none.
        masks: kind of mask of each band: ``'all'`` for a mask that all bands share (internal or
            ``.msk``), ``'own'`` for one of the band alone, ``''`` for none; alpha apart.
        units: unit of each band by GDAL, '' for none.
        bits: bits of a pixel of each band in the file, 0 for all of its type's.
        max_error: largest error of a lossy compression (LERC).
        palette: colors of the indices, see :func:`~mssdf.rasters.palette.read_palette`.
        points: kind of points that alone place a raster without a transform (``'GCPs'``,
            ``'RPCs'``, ``'geolocation arrays'``), '' for none.
    """

    path: str
    crs: str
    transform: tuple[float, ...]
    height: int
    width: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    alpha: int | None
    masks: tuple[str, ...]
    units: tuple[str, ...]
    bits: tuple[int, ...]
    max_error: float
    palette: tuple[int, ...]
    points: str = ''

    @property
    def has_transform(self) -> bool:
        """Tell whether the file places its pixels; GDAL gives the identity where it does not."""
        return not Affine(*self.transform).is_identity

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)

    @property
    def index_band(self) -> int:
        """Number of the band that holds the indices of a palette."""
        return 2 if self.alpha == 1 else 1

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold (NaN as a nodata value included)."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> 'RasterHeader':
        """Convert back from what :meth:`to_dict` returns."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in state.items()
        }
        return cls(**fields)


def read_header(path: str) -> RasterHeader:
    """Open ``path`` and read what :class:`RasterHeader` holds.

    Raises:
        RasterioError: when the file cannot be opened.
        UnreadableFileError: when what the header says cannot be true of such a file.
    """
    with open_checked(path) as raster:
        try:
            return _header_of(path, raster)
        except (ValueError, OverflowError) as error:
            raise damaged_header(path, error) from error


def _header_of(path: str, raster: DatasetReader) -> RasterHeader:
    interpretations = raster.colorinterp
    alpha = None
    if ColorInterp.alpha in interpretations:
        alpha = interpretations.index(ColorInterp.alpha) + 1

    return RasterHeader(
        path=path,
        crs=raster.crs.to_wkt() if raster.crs else '',
        transform=tuple(raster.transform)[:6],
        height=raster.height,
        width=raster.width,
        dtypes=tuple(raster.dtypes),
        nodata=tuple(raster.nodatavals),
        scales=tuple(raster.scales),
        offsets=tuple(raster.offsets),
        alpha=alpha,
        masks=tuple(map(_mask_kind, raster.mask_flag_enums)),
        units=tuple(unit or '' for unit in raster.units),
        bits=tuple(int(raster.tags(band, ns=STRUCTURE).get('NBITS', 0)) for band in raster.indexes),
        max_error=float(raster.tags(ns=STRUCTURE).get('MAX_Z_ERROR', 0)),
        palette=read_palette(path, raster),
        points=_placing_points(raster),
    )


def _placing_points(raster: DatasetReader) -> str:
    if not raster.transform.is_identity:
        return ''
    if raster.gcps[0]:
        return 'GCPs'
    namespaces = raster.tag_namespaces()
    if 'RPC' in namespaces:
        return 'RPCs'
    return 'geolocation arrays' if 'GEOLOCATION' in namespaces else ''


def _mask_kind(flags: Sequence[MaskFlags]) -> str:
    """Tell the kind of a band's mask; GDAL gives one of the band alone no flag at all."""
    if MaskFlags.per_dataset in flags:
        return '' if MaskFlags.alpha in flags else 'all'
    return '' if flags else 'own'
