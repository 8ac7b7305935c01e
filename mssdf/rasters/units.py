"""Units of heights: what a band and its vertical CRS declare, in meters."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError

from mssdf.errors import ConfigError

METER = 'metre'

# Names that GDAL, PROJ, EPSG and writers of files use, in lower case, without hyphens and the like.
METERS = {
    **dict.fromkeys(('m', 'metre', 'metres', 'meter', 'meters', 'mètre', 'mètres', 'mtr'), 1.0),
    **dict.fromkeys(('dm', 'decimetre', 'decimetres', 'decimeter', 'decimeters'), 0.1),
    **dict.fromkeys(('cm', 'centimetre', 'centimetres', 'centimeter', 'centimeters'), 0.01),
    **dict.fromkeys(('mm', 'millimetre', 'millimetres', 'millimeter', 'millimeters'), 0.001),
    **dict.fromkeys(('km', 'kilometre', 'kilometres', 'kilometer', 'kilometers'), 1000.0),
    **dict.fromkeys(('ft', 'foot', 'feet', 'international foot', 'international feet'), 0.3048),
    **dict.fromkeys(('ift', 'intl foot', 'intl feet', 'foot intl', 'foot international'), 0.3048),
    **dict.fromkeys(('us survey foot', 'us survey feet', 'survey foot', 'survey feet'), 12 / 39.37),
    **dict.fromkeys(('us foot', 'us feet', 'us ft', 'ft us', 'ftus', 'usft', 'sft'), 12 / 39.37),
    **dict.fromkeys(('foot us', 'foot us survey', 'feet us', 'foot survey us'), 12 / 39.37),
    **dict.fromkeys(('feet us survey', 'us survey ft', 'survey ft', 'ussft'), 12 / 39.37),
    **dict.fromkeys(('british foot', 'british foot (sears 1922)'), 12 / 39.370147),
    **dict.fromkeys(("clarke's foot", 'clarkes foot', 'clarke foot'), 0.3047972654),
    **dict.fromkeys(('indian foot', 'ind ft'), 0.30479951024814694),
    **dict.fromkeys(('gold coast foot',), 6378300 / 20926201),
    **dict.fromkeys(('in', 'inch', 'inches'), 0.0254),
    **dict.fromkeys(('yd', 'yard', 'yards'), 0.9144),
    **dict.fromkeys(('fath', 'fathom', 'fathoms'), 1.8288),
}

# What stands in the place of a unit where there is none.
NO_UNIT = ('', 'unknown', 'none', 'n/a', 'na', 'unspecified', 'undefined', '-')

# Units may agree in all but the last decimals of their factors; feet of the survey and
# international ones differ by 2e-6.
SAME = 1e-7


@dataclass(frozen=True)
class VerticalAxis:
    """Heights of a CRS.

    Attributes:
        name: name of the vertical CRS, or of the whole one where it has three axes.
        unit: name of the unit.
        meters: meters per unit, negative where the axis points downwards (depths).
    """

    name: str
    unit: str
    meters: float


def meters_per_unit(name: str) -> float | None:
    """Look up the meters per unit of length; None for a name that is none."""
    name = name.casefold().replace('u.s.', 'us')
    plain = ' '.join(re.sub(r'[_\-./,()\[\]]', ' ', name).split())
    return METERS.get(plain, METERS.get(name.strip()))


@lru_cache(maxsize=1024)
def vertical_axis(wkt: str) -> VerticalAxis | None:
    """Find the axis of heights of a CRS; None where it has none or cannot be read."""
    if not wkt:
        return None
    try:
        parts = CRS.from_wkt(wkt).to_dict(projjson=True)
    except (CRSError, ValueError):
        return None
    for part in _parts(parts):
        for axis in part.get('coordinate_system', {}).get('axis', ()):
            if axis.get('direction') in ('up', 'down'):
                return _axis(part, axis)
    return None


def _parts(crs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Yield a CRS and those that it is made of."""
    found = [crs]
    for part in (*crs.get('components', ()), crs.get('source_crs')):
        if isinstance(part, Mapping):
            found += _parts(part)
    return found


def _axis(crs: Mapping[str, Any], axis: Mapping[str, Any]) -> VerticalAxis:
    unit = axis.get('unit', METER)
    if isinstance(unit, Mapping):
        name, factor = str(unit.get('name', '')), float(unit.get('conversion_factor', 1.0))
    else:
        name, factor = str(unit), meters_per_unit(str(unit)) or 1.0
    down = axis['direction'] == 'down'
    return VerticalAxis(str(crs.get('name', '')), name, -factor if down else factor)


@dataclass(frozen=True)
class BandUnits:
    """Units of the bands of a modality.

    Attributes:
        declared: name per band that the file declares for its values; '' for none.
        units: name per band of the unit after conversion, :data:`METER` for heights.
        meters: factor per band that brings values to meters; 1 where they are no heights.
    """

    declared: tuple[str, ...]
    units: tuple[str, ...]
    meters: tuple[float, ...]


def band_units(
    path: str,
    declared: Sequence[str],
    crs: str,
    unit: str | None,
    alone: bool,
) -> BandUnits:
    """Decide in which units the bands of a modality are.

    GDAL hands the unit of a vertical CRS out as that of each band, orthophotos included. Hence it
    counts for a band that stands alone; any other unit that a band declares counts in any case.

    Args:
        path: file, for messages.
        declared: name per band that GDAL gives, '' for none.
        crs: well-known text of the file's CRS.
        unit: None takes the file's, a name replaces it, ``'ignore'`` does without.
        alone: whether the modality is one band that may hold heights.

    Raises:
        ValueError: when a name is no unit of length, or band and vertical CRS contradict.
    """
    if unit is not None:
        factor = 1.0 if unit == 'ignore' else _required(path, unit)
        name, after = ('', '') if unit == 'ignore' else (unit, METER)
        count = len(declared)
        return BandUnits((name,) * count, (after,) * count, (factor,) * count)
    axis = vertical_axis(crs)
    declared = ['' if name.strip().casefold() in NO_UNIT else name for name in declared]
    found = [_unit_of(path, name, axis, alone) for name in declared]
    names, units, factors = zip(*found, strict=True)
    return BandUnits(names, units, factors)


def _unit_of(
    path: str, name: str, axis: VerticalAxis | None, alone: bool
) -> tuple[str, str, float]:
    """Find the name of a band's unit, the unit after conversion, and the factor between them."""
    factor = meters_per_unit(name) if name else None
    if axis is not None:
        of_crs = not name or (
            factor is not None and math.isclose(factor, abs(axis.meters), rel_tol=SAME)
        )
        if of_crs:
            return (axis.unit, METER, axis.meters) if alone else ('', '', 1.0)
        if alone and factor is not None:
            raise ValueError(
                f'{path}: expected heights in one unit, found {name!r} for the band and '
                f'{axis.unit!r} for the vertical CRS {axis.name!r}; unit says which one holds'
            )
    return (name, METER, factor) if factor is not None else (name, name, 1.0)


def check_unit(where: str, unit: Any) -> None:
    """Refuse a setting that is no unit.

    Args:
        where: name of the setting.
        unit: value of the setting.

    Raises:
        ValueError: unless it is None, ``'ignore'`` or a unit of length.
    """
    if unit is None or unit == 'ignore':
        return
    if not isinstance(unit, str) or meters_per_unit(unit) is None:
        raise ConfigError(
            where, "'ignore' or a unit of length such as 'm', 'ft' or 'US survey foot'", unit
        )


def _required(path: str, unit: str) -> float:
    check_unit(f'{path}: unit', unit)
    return meters_per_unit(unit) or 1.0
