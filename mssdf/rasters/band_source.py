"""The bands of a file that make up a modality, and the choice of their nodata, masks and units."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mssdf.errors import FileError, Words

from .nodata import nodata_as, nodata_slack
from .palette import COLORS, is_gray
from .raster_header import RasterHeader
from .units import BandUnits, band_units

NODATA_RULES = ('auto', 'any', 'all')
MASKS = ('auto', 'none')

# What a modality's pixels are held as; every other real type becomes float32.
KEPT_DTYPES = ('uint8', 'uint16', 'int16', 'float32')


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
