"""One modality of one raster file: its header, its bands and which of their pixels are valid."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mssdf.errors import FileError, Words
from mssdf.utils.limits import LARGEST_VALUE

from .identity import bytes_of, raster_facts
from .nodata import differs, nodata_as, nodata_slack
from .opening import damaged_header, open_raster
from .palette import COLORS, expand, is_gray, read_palette
from .read_errors import UnreadableFileError, is_local
from .units import BandUnits, band_units

NODATA_RULES = ('auto', 'any', 'all')
MASKS = ('auto', 'none')

# What a modality's pixels are held as; every other real type becomes float32.
KEPT_DTYPES = ('uint8', 'uint16', 'int16', 'float32')

# Where GDAL says how pixels are stored.
STRUCTURE = 'IMAGE_STRUCTURE'

# One block is decoded as a whole. No file compresses more than so far below, and needs so much.
LARGEST_BLOCK = 2**30
LARGEST_RATIO = 2000
# A VRT may be empty for the most part, but imagery itself is compressed by a tenth of the above.
LARGEST_VIRTUAL_RATIO = 200


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


def open_checked(path: str | os.PathLike) -> DatasetReader:
    """Open a raster whose size can be true.

    Raises:
        RasterioError: when the file cannot be opened.
        UnreadableFileError: when what the header says cannot be true of such a file.
    """
    raster = open_raster(os.fspath(path))
    try:
        _check_header(os.fspath(path), raster)
    except BaseException:
        raster.close()
        raise
    return raster


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


def _check_header(path: str, raster: DatasetReader) -> None:
    """Refuse a damaged header before anything as large as it says is allocated."""
    if not raster.count:
        raise UnreadableFileError(path, 'expected a raster with bands, found none')
    transform = tuple(raster.transform)[:6]
    if not all(map(math.isfinite, transform)) or raster.transform.determinant == 0:
        raise UnreadableFileError(
            path, f'expected a grid with pixels of some size, found {transform}'
        )
    if not is_local(path):
        return

    # the size that the header claims must fit the bytes that there are
    if raster.driver != 'GTiff':
        _check_size(path, raster)
    height, width = raster.block_shapes[0]
    blocks = math.ceil(raster.height / height) * math.ceil(raster.width / width)
    size = os.path.getsize(path)
    sizes = [np.dtype(dtype).itemsize for dtype in raster.dtypes if dtype in np.sctypeDict]
    together = sum(sizes) if raster.interleaving and raster.interleaving.name == 'pixel' else 8
    block = height * width * together
    # A TIFF lists each block, empty ones too.
    many = raster.driver == 'GTiff' and blocks > max(1, size)
    if many or (block > LARGEST_BLOCK and block > LARGEST_RATIO * size):
        raise UnreadableFileError(
            path,
            f'expected the size of a raster that fits into {size:,} bytes, found '
            f'{raster.width} x {raster.height} pixels in blocks of {width} x {height}',
        )


def _check_size(path: str, raster: DatasetReader) -> None:
    """Refuse more pixels than all files of the raster, sources of a VRT included, can hold."""
    sizes = [np.dtype(dtype).itemsize for dtype in raster.dtypes if dtype in np.sctypeDict]
    pixels = raster.height * raster.width * max(1, sum(sizes))
    if pixels <= LARGEST_BLOCK:
        return
    held = bytes_of(raster_facts(path))
    ratio = LARGEST_VIRTUAL_RATIO if raster.driver == 'VRT' else LARGEST_RATIO
    if pixels > ratio * held:
        raise UnreadableFileError(
            path,
            f'expected the size of a raster whose files have {held:,} bytes together, found '
            f'{raster.width} x {raster.height} pixels',
        )


@dataclass(frozen=True)
class BandSource:
    """The bands of one file that make up a modality, with the rule for their valid pixels.

    Attributes:
        header: header of the file.
        bands: numbers of the bands, from 1.
        nodata: raw nodata value per band, already of the file's type; None for none.
        slack: distance per band from the nodata value within which pixels stand for it.
        any_band: whether nodata in one band makes the pixel invalid (else: in all of them).
        alpha: number of the alpha band that serves as a mask, None for none.
        masks: numbers of the bands whose masks are read.
        scale: scale per band, None if all are 1 and the offsets 0; brings heights to meters.
        offset: offset per band, None with ``scale``.
        dtype: type of the pixels handed out.
        declared: unit per band in the file, '' for none.
        units: unit per band as handed out, '' for none.
        meters: meters per unit of each band, 1 where nothing is converted.
    """

    header: RasterHeader
    bands: tuple[int, ...]
    nodata: tuple[float | None, ...]
    slack: tuple[float, ...]
    any_band: bool
    alpha: int | None
    masks: tuple[int, ...]
    scale: tuple[float, ...] | None
    offset: tuple[float, ...] | None
    dtype: str
    declared: tuple[str, ...]
    units: tuple[str, ...]
    meters: tuple[float, ...]

    @property
    def path(self) -> str:
        """The file."""
        return self.header.path

    @property
    def raw_dtype(self) -> str:
        """Type of the bands as stored."""
        return self.header.dtypes[self.stored[0] - 1]

    @property
    def palette(self) -> tuple[int, ...]:
        """Colors of the indices that the file holds; empty without a palette."""
        return self.header.palette

    @property
    def stored(self) -> tuple[int, ...]:
        """Numbers of the bands to read from the file."""
        return (self.header.index_band,) if self.palette else self.bands

    @property
    def may_be_heights(self) -> bool:
        """Tell whether the values may be heights: one band, of more than 8 bits."""
        return len(self.bands) == 1 and np.dtype(self.raw_dtype).itemsize > 1

    @property
    def floating(self) -> bool:
        """Tell whether pixels may be NaN or infinite."""
        return np.dtype(self.raw_dtype).kind == 'f'

    @property
    def judges_values(self) -> bool:
        """Tell whether validity depends on the pixels' values rather than on masks alone."""
        return (
            self.floating or bool(self.palette) or any(value is not None for value in self.nodata)
        )

    @property
    def always_valid(self) -> bool:
        """Tell whether no pixel inside the raster can be invalid."""
        return not (self.judges_values or self.alpha is not None or self.masks)


def make_source(
    header: RasterHeader,
    bands: Sequence[int] | None = None,
    *,
    nodata: float | str | None = None,
    nodata_rule: str = 'auto',
    mask: str = 'auto',
    data_bands: Sequence[int] = (),
    dtype: str | None = None,
    unit: str | None = None,
) -> BandSource:
    """Decide how a modality is read from a file.

    Args:
        header: header of the file.
        bands: band numbers from 1; None takes all but an alpha band.
        nodata: None takes the file's, a number replaces it, ``'ignore'`` does without.
        nodata_rule: ``'any'``: nodata in one band makes the pixel invalid; ``'all'``: only in
            all bands; ``'auto'``: ``'all'`` for 8-bit bands, whose nodata is an ordinary value in
            a single band, ``'any'`` for others.
        mask: ``'none'`` ignores alpha bands and mask bands.
        data_bands: bands of this file that any modality asks for as data. An alpha band among
            them is data, not a mask.
        dtype: ``'float32'`` to hand out floats whatever the file's type.
        unit: None takes the unit of heights that the file declares, a name such as ``'ft'``
            replaces it, ``'ignore'`` does without. Heights are handed out in meters.

    Raises:
        ValueError: when the file does not have the bands, or not of one real type, or declares
            units that contradict each other.
    """
    path = header.path

    # the bands, all of one type that NumPy and the network know
    chosen = _choose_bands(header, bands)
    stored = (header.index_band,) if header.palette else chosen
    dtypes = {header.dtypes[band - 1] for band in stored}
    # GDAL has types that NumPy lacks, such as complex_int16
    if len(dtypes) > 1 or not all(d in np.sctypeDict and np.dtype(d).kind in 'uif' for d in dtypes):
        raise ValueError(
            f'{path}: expected bands {list(chosen)} of one real type, found {sorted(dtypes)}'
        )
    raw = np.dtype(dtypes.pop())

    # values: scaled to what the file says, heights to meters
    alone = len(chosen) == 1 and raw.itemsize > 1
    scale, offset, units = _scaling(header, stored, 'ignore' if header.palette else unit, alone)
    scaled = any(s != 1 for s in scale) or any(o != 0 for o in offset)
    kept = raw.name if raw.name in KEPT_DTYPES and not scaled else 'float32'

    # validity: nodata values, and masks unless they are data
    values, slack = _nodata_of(header, stored, raw, nodata)
    is_data = header.alpha in data_bands or (header.alpha in chosen and not header.palette)

    return BandSource(
        header=header,
        bands=chosen,
        nodata=values,
        slack=slack,
        any_band=nodata_rule == 'any' or (nodata_rule == 'auto' and raw.itemsize > 1),
        alpha=None if mask == 'none' or is_data else header.alpha,
        masks=() if mask == 'none' else _masks_of(header, stored),
        scale=scale if scaled else None,
        offset=offset if scaled else None,
        dtype=dtype or ('uint8' if header.palette else kept),
        declared=units.declared,
        units=units.units,
        meters=units.meters,
    )


def _scaling(
    header: RasterHeader, stored: tuple[int, ...], unit: str | None, alone: bool
) -> tuple[tuple[float, ...], tuple[float, ...], BandUnits]:
    """Find scales and offsets per band that bring values to the file's unit, heights to meters."""
    scale = tuple(header.scales[band - 1] for band in stored)
    offset = tuple(header.offsets[band - 1] for band in stored)
    if header.palette:  # of indices they say nothing
        scale, offset = (1.0,), (0.0,)
    if not all(map(math.isfinite, (*scale, *offset))) or 0 in scale:
        raise ValueError(
            f'{header.path}: expected finite scales other than 0 and finite offsets, found scales '
            f'{list(scale)} and offsets {list(offset)}'
        )
    declared = [header.units[band - 1] for band in stored]
    units = band_units(header.path, declared, header.crs, unit, alone)
    return (
        tuple(s * meters for s, meters in zip(scale, units.meters, strict=True)),
        tuple(o * meters for o, meters in zip(offset, units.meters, strict=True)),
        units,
    )


def _nodata_of(
    header: RasterHeader, stored: tuple[int, ...], raw: np.dtype, nodata: float | str | None
) -> tuple[tuple[float | None, ...], tuple[float, ...]]:
    """Find the nodata value of each band, and the distance within which pixels stand for it."""
    bits = [header.bits[band - 1] for band in stored]
    values = tuple(
        nodata_as(raw, nodata, header.nodata[band - 1], size)
        for band, size in zip(stored, bits, strict=True)
    )
    slack = tuple(
        nodata_slack(raw, value, size, header.max_error)
        for value, size in zip(values, bits, strict=True)
    )
    return values, slack


def _masks_of(header: RasterHeader, stored: tuple[int, ...]) -> tuple[int, ...]:
    """List the bands whose masks say what is valid; one for a mask that bands share."""
    kinds = {band: header.masks[band - 1] for band in stored}
    shared = [band for band, kind in kinds.items() if kind == 'all'][:1]
    return tuple(shared + [band for band, kind in kinds.items() if kind == 'own'])


def _choose_bands(header: RasterHeader, bands: Sequence[int] | None) -> tuple[int, ...]:
    """Choose the bands to hand out; for a file with a palette they are colors."""
    if bands is not None:
        chosen = tuple(bands)
    elif header.palette:
        chosen = COLORS
    else:
        chosen = tuple(band for band in range(1, header.count + 1) if band != header.alpha)
    if header.palette:
        if not set(chosen) <= set(COLORS) or (len(chosen) < 2 and not is_gray(header.palette)):
            raise ValueError(
                f'{header.path}: expected some of the bands 1, 2, 3, the red, green and blue of '
                f'its palette of colors, found {list(chosen)}; its indices are no measurements'
            )
        return chosen

    outside = [band for band in chosen if not 1 <= band <= header.count]
    if outside or not chosen:
        raise FileError(
            header.path,
            f'the bands {list(chosen)}',
            Words(f'a file of {header.count} band(s), numbered from 1'),
        )
    return chosen


def read_values(
    raster: DatasetReader, source: BandSource, window: tuple[int, int, int, int]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read raw values and validity of a window that lies inside the raster.

    Args:
        raster: open file.
        source: bands to read, and the rule for their valid pixels.
        window: row, column, height, width in pixels of the file.

    Returns:
        Values (C, H, W) as stored, with whatever stands at invalid pixels, and validity (H, W).
        Indices of a palette come as their colors.
    """
    row, col, height, width = window
    place = Window(col, row, width, height)
    bands = list(source.stored)
    if source.alpha is not None:
        bands.append(source.alpha)
    values = raster.read(bands, window=place)
    valid = None
    if source.alpha is not None:
        valid = values[-1] != 0
        values = values[:-1]
    valid = _join(valid, value_validity(values, source))
    valid = _join(valid, _read_masks(raster, source, place))
    if source.palette:
        values, colored = expand(values[0], source.palette, source.bands)
        valid = _join(valid, colored)
    return values, np.ones((height, width), dtype=bool) if valid is None else valid


def read_validity(
    raster: DatasetReader, source: BandSource, window: tuple[int, int, int, int]
) -> NDArray[np.bool_]:
    """Read validity alone, without decoding the bands where a mask says it all."""
    if source.judges_values:
        return read_values(raster, source, window)[1]
    row, col, height, width = window
    place = Window(col, row, width, height)
    valid = None
    if source.alpha is not None:
        valid = raster.read(source.alpha, window=place) != 0
    valid = _join(valid, _read_masks(raster, source, place))
    return np.ones((height, width), dtype=bool) if valid is None else valid


def value_validity(values: NDArray, source: BandSource) -> NDArray[np.bool_] | None:
    """Judge validity (H, W) by the values (C, H, W) alone; None if every value is good."""
    valid = None
    if source.floating:
        valid = measured(values)
    if any(value is not None for value in source.nodata):
        good = list(map(differs, values, source.nodata, source.slack))
        combine = np.logical_and if source.any_band else np.logical_or
        valid = _join(valid, good[0] if len(good) == 1 else combine.reduce(good))
    return valid


def measured(values: NDArray) -> NDArray[np.bool_] | None:
    """Mark pixels (H, W) of which all bands (C, H, W) can be measurements; None for all of them.

    NaN, infinities and what is beyond :data:`~mssdf.utils.limits.LARGEST_VALUE` are not.
    """
    # Two reductions find the usual case. A NaN makes both NaN, and no comparison with it holds.
    if not values.size or (values.min() >= -LARGEST_VALUE and values.max() <= LARGEST_VALUE):
        return None
    with np.errstate(invalid='ignore'):
        inside = (values >= -LARGEST_VALUE) & (values <= LARGEST_VALUE)
    return np.asarray(inside.all(axis=0))


def _read_masks(
    raster: DatasetReader, source: BandSource, place: Window
) -> NDArray[np.bool_] | None:
    """Mark pixels (H, W) where no band is masked; None without masks."""
    if not source.masks:
        return None
    masks = raster.read_masks(list(source.masks), window=place)
    return np.asarray((masks != 0).all(axis=0))


def _join(first: NDArray | None, second: NDArray | None) -> NDArray | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
