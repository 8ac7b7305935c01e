"""One modality of one raster file: its header, its bands and which of their pixels are valid."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mssdf.utils.limits import LARGEST_VALUE

from .raster_identity import bytes_of, raster_facts
from .raster_opening import damaged_header, open_raster
from .read_errors import UnreadableFileError, is_local

NODATA_RULES = ('auto', 'any', 'all')
MASKS = ('auto', 'none')

# What a modality's pixels are held as; every other real type becomes float32.
KEPT_DTYPES = ('uint8', 'uint16', 'int16', 'float32')

# One block is decoded as a whole. No file compresses more than so far below, and needs so much.
LARGEST_BLOCK = 2**30
LARGEST_RATIO = 2000
# A VRT may be empty for the most part, but imagery itself is compressed by a tenth of the above.
LARGEST_VIRTUAL_RATIO = 200


@dataclass(frozen=True)
class RasterHeader:
    """What the first bytes of a raster say; enough to check grids without opening it again.

    Attributes:
        crs: well-known text of the coordinate reference system, '' for none.
        transform: the affine coefficients (a, b, c, d, e, f) from pixel to world coordinates.
        dtypes, nodata, scales, offsets: one entry per band of the file.
        alpha: number of the band tagged as alpha, None for none.
        masked: whether the file has a mask of its own (internal or ``.msk``), alpha apart.
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
    masked: bool

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it (NaN as a nodata value included)."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> 'RasterHeader':
        """The inverse of :meth:`to_dict`."""
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
    flags = raster.mask_flag_enums[0]
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
        masked=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
    )


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
    """The bands of one file that make up a modality, and how to tell their valid pixels.

    Attributes:
        bands: numbers of the bands, from 1.
        nodata: raw nodata value per band, already of the file's type; None for none.
        any_band: whether nodata in one band makes the pixel invalid (else: in all of them).
        alpha: number of the alpha band to use as a mask, None for none.
        masked: whether to read the file's own mask.
        scale, offset: per band, None when all are 1 and 0.
        dtype: of the pixels handed out.
    """

    header: RasterHeader
    bands: tuple[int, ...]
    nodata: tuple[float | None, ...]
    any_band: bool
    alpha: int | None
    masked: bool
    scale: tuple[float, ...] | None
    offset: tuple[float, ...] | None
    dtype: str

    @property
    def path(self) -> str:
        """The file."""
        return self.header.path

    @property
    def raw_dtype(self) -> str:
        """Type of the bands as stored."""
        return self.header.dtypes[self.bands[0] - 1]

    @property
    def floating(self) -> bool:
        """Whether pixels may be NaN or infinite."""
        return np.dtype(self.raw_dtype).kind == 'f'

    @property
    def judges_values(self) -> bool:
        """Whether validity depends on the pixels' values rather than on masks alone."""
        return self.floating or any(value is not None for value in self.nodata)

    @property
    def always_valid(self) -> bool:
        """Whether no pixel inside the raster can be invalid."""
        return not (self.judges_values or self.alpha is not None or self.masked)


def make_source(
    header: RasterHeader,
    bands: Sequence[int] | None = None,
    *,
    nodata: float | str | None = None,
    nodata_rule: str = 'auto',
    mask: str = 'auto',
    data_bands: Sequence[int] = (),
    dtype: str | None = None,
) -> BandSource:
    """Decide how a modality is read from a file.

    Args:
        header: of the file.
        bands: band numbers from 1; None takes all but an alpha band.
        nodata: None takes the file's, a number replaces it, ``'ignore'`` does without.
        nodata_rule: ``'any'``: nodata in one band makes the pixel invalid; ``'all'``: only in
            all bands; ``'auto'``: ``'all'`` for 8-bit bands, whose nodata is an ordinary value in
            a single band, ``'any'`` for others.
        mask: ``'none'`` ignores alpha bands and mask bands.
        data_bands: bands of this file that any modality asks for as data. An alpha band among
            them is data, not a mask.
        dtype: ``'float32'`` to hand out floats whatever the file's type.

    Raises:
        ValueError: when the file does not have the bands, or not of one real type.
    """
    path = header.path
    chosen = (
        tuple(bands)
        if bands is not None
        else tuple(band for band in range(1, header.count + 1) if band != header.alpha)
    )
    outside = [band for band in chosen if not 1 <= band <= header.count]
    if outside or not chosen:
        raise ValueError(
            f'{path}: bands {list(chosen)} were asked for, found a file of {header.count} band(s), '
            f'numbered from 1'
        )
    dtypes = {header.dtypes[band - 1] for band in chosen}
    # GDAL has types that NumPy lacks, such as complex_int16
    if len(dtypes) > 1 or not all(d in np.sctypeDict and np.dtype(d).kind in 'uif' for d in dtypes):
        raise ValueError(
            f'{path}: expected bands {list(chosen)} of one real type, found {sorted(dtypes)}'
        )
    raw = np.dtype(dtypes.pop())
    scale = tuple(header.scales[band - 1] for band in chosen)
    offset = tuple(header.offsets[band - 1] for band in chosen)
    if not all(map(math.isfinite, (*scale, *offset))) or 0 in scale:
        raise ValueError(
            f'{path}: expected finite scales other than 0 and finite offsets, found scales '
            f'{list(scale)} and offsets {list(offset)}'
        )
    scaled = any(s != 1 for s in scale) or any(o != 0 for o in offset)
    kept = raw.name if raw.name in KEPT_DTYPES and not scaled else 'float32'
    is_data = header.alpha in chosen or header.alpha in data_bands
    return BandSource(
        header=header,
        bands=chosen,
        nodata=tuple(_nodata_as(raw, nodata, header.nodata[band - 1]) for band in chosen),
        any_band=nodata_rule == 'any' or (nodata_rule == 'auto' and raw.itemsize > 1),
        alpha=None if mask == 'none' or is_data else header.alpha,
        masked=mask != 'none' and header.masked,
        scale=scale if scaled else None,
        offset=offset if scaled else None,
        dtype=dtype or kept,
    )


def _nodata_as(dtype: np.dtype, given: float | str | None, stored: float | None) -> float | None:
    """A nodata value as pixels of the type can hold it; None when none of them can equal it."""
    value = stored if given is None else given
    if value is None or value == 'ignore':
        return None
    value = float(value)
    if dtype.kind == 'f':
        # NaN is never a value. A decimal nodata is compared as it was rounded on writing.
        with np.errstate(over='ignore'):
            return None if np.isnan(value) else float(dtype.type(value))
    info = np.iinfo(dtype)
    return value if value.is_integer() and info.min <= value <= info.max else None


def read_values(
    raster: DatasetReader,
    source: BandSource,
    window: tuple[int, int, int, int],
    shape: tuple[int, int] | None = None,
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read raw values and validity of a window that lies inside the raster.

    Args:
        raster: the open file.
        source: what to read from it.
        window: row, column, height, width in its pixels.
        shape: read every n-th pixel so that this (rows, columns) comes out; None reads them all.

    Returns:
        Values (C, H, W) as stored, with whatever stands at invalid pixels, and validity (H, W).
    """
    row, col, height, width = window
    place = Window(col, row, width, height)
    bands = list(source.bands)
    if source.alpha is not None:
        bands.append(source.alpha)
    size = shape or (height, width)
    values = raster.read(
        bands, window=place, out_shape=(len(bands), *size), resampling=Resampling.nearest
    )
    valid = None
    if source.alpha is not None:
        valid = values[-1] != 0
        values = values[:-1]
    valid = _join(valid, value_validity(values, source))
    if source.masked:
        valid = _join(valid, _read_mask(raster, source, place, size))
    return values, np.ones(size, dtype=bool) if valid is None else valid


def read_validity(
    raster: DatasetReader,
    source: BandSource,
    window: tuple[int, int, int, int],
    shape: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Validity alone, without decoding the bands where a mask says it all."""
    if source.judges_values:
        return read_values(raster, source, window, shape)[1]
    row, col, height, width = window
    place, size = Window(col, row, width, height), shape or (height, width)
    valid = None
    if source.alpha is not None:
        alpha = raster.read(
            source.alpha, window=place, out_shape=size, resampling=Resampling.nearest
        )
        valid = alpha != 0
    if source.masked:
        valid = _join(valid, _read_mask(raster, source, place, size))
    return np.ones(size, dtype=bool) if valid is None else valid


def value_validity(values: NDArray, source: BandSource) -> NDArray[np.bool_] | None:
    """Validity (H, W) by the values (C, H, W) alone; None when every value is good."""
    valid = None
    if source.floating:
        valid = measured(values)
    if any(value is not None for value in source.nodata):
        good = [
            np.ones(values.shape[1:], dtype=bool)
            if nodata is None
            else band != band.dtype.type(nodata)
            for band, nodata in zip(values, source.nodata, strict=True)
        ]
        combine = np.logical_and if source.any_band else np.logical_or
        valid = _join(valid, good[0] if len(good) == 1 else combine.reduce(good))
    return valid


def measured(values: NDArray) -> NDArray[np.bool_] | None:
    """Where (H, W) all bands (C, H, W) are numbers that can be measurements; None for everywhere.

    NaN, infinities and what is beyond :data:`~mssdf.utils.limits.LARGEST_VALUE` are not.
    """
    # Two reductions find the usual case. A NaN makes both NaN, and no comparison with it holds.
    if not values.size or (values.min() >= -LARGEST_VALUE and values.max() <= LARGEST_VALUE):
        return None
    with np.errstate(invalid='ignore'):
        inside = (values >= -LARGEST_VALUE) & (values <= LARGEST_VALUE)
    return np.asarray(inside.all(axis=0))


def _read_mask(
    raster: DatasetReader, source: BandSource, place: Window, size: tuple[int, int]
) -> NDArray[np.bool_]:
    mask = raster.read_masks(source.bands[0], window=place, out_shape=size)
    return mask != 0


def _join(first: NDArray | None, second: NDArray | None) -> NDArray | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
