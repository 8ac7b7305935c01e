"""Comparison of coordinate reference systems by what they mean on the ground."""

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError

# Methods that differ in the directions of their axes alone, by the EPSG code of the plain one:
# Krovak (north orientated), transverse Mercator (south orientated).
SAME_METHOD = {1041: 9819, 1043: 1042, 9808: 9807}
UNITS = {'degree': math.radians(1), 'metre': 1.0, 'unity': 1.0}
# Well-known texts hold 15 digits.
DIGITS = 1e-9
# Names of datums, in plain letters, that are one within the accuracy of their coordinates. PROJ
# knows them as ensembles, which well-known text and GDAL's copies of a CRS lose; countries'
# realizations of ETRS89 are no members there though each is called ETRS89.
ENSEMBLES = {
    'wgs84': 'worldgeodeticsystem1984|wgs84',
    'etrs89': r'europeanterrestrialreference(system|frame)|etrs89|etrf\d',
    'nad83csrs': 'northamericandatumof1983csrs|nad83canadianspatialreference|nad83csrs',
}


@lru_cache(maxsize=1024)
def same_crs(first: str, second: str) -> bool:
    """Tell whether two well-known texts mean one horizontal CRS.

    Heights, datums of heights, a third dimension and the order or direction of axes do not count:
    rasters store x before y whatever the CRS says. A datum is that of the ensemble which it is
    part of.

    Raises:
        CRSError: when a text is no CRS.
    """
    if first == second:
        return True
    if not first or not second:
        return False
    one, two = _horizontal(first), _horizontal(second)
    if one['type'] == two['type'] == 'EngineeringCRS' and one['name'] != two['name']:
        return False  # GDAL takes them for equal
    if one == two or _same_meaning(one, two) or _crs_of(one) == _crs_of(two):
        return True
    code = _crs_of(one).to_epsg()
    return code is not None and code == _crs_of(two).to_epsg()


@lru_cache(maxsize=1024)
def same_coordinates(first: str, second: str) -> bool:
    """Tell whether two texts mean one horizontal CRS in which GDAL's x and y are the same.

    GDAL brings east before north; it leaves axes that point south or west as they are.

    Raises:
        CRSError: when a text is no CRS.
    """
    return same_crs(first, second) and (
        first == second or _directions(_horizontal(first)) == _directions(_horizontal(second))
    )


@lru_cache(maxsize=1024)
def horizontal_crs(wkt: str) -> str:
    """Extract the well-known text of the horizontal part of a CRS, of two dimensions.

    PROJ may forget the code by which an authority knows the part.

    Raises:
        CRSError: when the text is no CRS.
    """
    part = _horizontal(wkt)
    return wkt if part == _as_json(wkt) else _crs_of(part).to_wkt()


def meters_per_unit(wkt: str) -> float | None:
    """Look up the meters per unit of a plane CRS; None for degrees and for no plane.

    Raises:
        CRSError: when the text is no CRS.
    """
    part = _horizontal(wkt)
    if part['type'] not in ('ProjectedCRS', 'DerivedProjectedCRS', 'EngineeringCRS'):
        return None
    return _unit(part['coordinate_system']['axis'][0]['unit'])


def is_local(wkt: str) -> bool:
    """Tell whether a CRS is one of its own, without a place on the Earth.

    Raises:
        CRSError: when the text is no CRS.
    """
    return bool(_horizontal(wkt)['type'] == 'EngineeringCRS')


def turn_in_units(wkt: str) -> float | None:
    """Compute a full turn of longitude in units of a geographic CRS; None for any other.

    Raises:
        CRSError: when the text is no CRS.
    """
    part = _horizontal(wkt)
    if part['type'] not in ('GeographicCRS', 'GeodeticCRS'):
        return None
    if part['coordinate_system']['subtype'] != 'ellipsoidal':
        return None
    return 2 * math.pi / _unit(part['coordinate_system']['axis'][0]['unit'])


def describe_crs(wkt: str) -> str:
    """Describe a CRS in a few words, for messages."""
    if not wkt:
        return 'no CRS'
    crs = CRS.from_wkt(wkt)
    code = crs.to_epsg()
    return f'EPSG:{code}' if code else wkt.split('"')[1] if '"' in wkt else crs.to_string()


@lru_cache(maxsize=1024)
def _horizontal(wkt: str) -> dict[str, Any]:
    """Extract the horizontal part of a CRS, of two dimensions, as PROJ's JSON."""
    part = _as_json(wkt)
    while part['type'] in ('CompoundCRS', 'BoundCRS'):
        part = part['components'][0] if part['type'] == 'CompoundCRS' else part['source_crs']
    return _flat(part)


def _as_json(wkt: str) -> dict[str, Any]:
    try:
        part: dict[str, Any] = CRS.from_wkt(wkt).to_dict(projjson=True)
    except CPLE_BaseError as error:
        raise CRSError(f'{wkt[:80]}: {error}') from error
    if 'type' not in part:
        raise CRSError(f'expected a coordinate reference system that PROJ knows, found {wkt[:80]}')
    return part


def _flat(part: dict[str, Any]) -> dict[str, Any]:
    """Strip a CRS of its heights, and of the name by which an authority knows it with them."""
    axes = part['coordinate_system']['axis']
    if len(axes) < 3 or axes[2]['direction'] not in ('up', 'down'):
        return part
    part = {key: value for key, value in part.items() if key not in ('id', 'ids')}
    part['coordinate_system'] = {**part['coordinate_system'], 'axis': axes[:2]}
    return {**part, 'base_crs': _flat(part['base_crs'])} if 'base_crs' in part else part


def _crs_of(part: Mapping[str, Any]) -> CRS:
    return CRS.from_string(json.dumps(part))


def _same_meaning(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Tell whether datum, meridian, projection and units agree, whatever the names and the axes."""
    if one['type'] != two['type'] or 'axis' not in one['coordinate_system']:
        return False
    bases = [part.get('base_crs', part) for part in (one, two)]
    datums = [_datum(base) for base in bases]
    if datums[0] != datums[1] or datums[0].startswith('unknown'):
        return False
    figures = [
        {
            **_projection(part),
            'unit': _unit(part['coordinate_system']['axis'][0]['unit']),
            'meridian': _meridian(base),
        }
        for part, base in zip((one, two), bases, strict=True)
    ]
    return figures[0].keys() == figures[1].keys() and all(
        math.isclose(value, figures[1][key], rel_tol=DIGITS, abs_tol=1e-12)
        for key, value in figures[0].items()
    )


def _datum(base: Mapping[str, Any]) -> str:
    """Find the name of a geodetic CRS's datum; for a realization, that of its ensemble."""
    frame = base.get('datum') or base.get('datum_ensemble') or {}
    name = _plain(frame.get('name', ''))
    return next((known for known, names in ENSEMBLES.items() if re.match(names, name)), name)


def _plain(name: str) -> str:
    return re.sub('[^a-z0-9]', '', name.casefold())


def _meridian(base: Mapping[str, Any]) -> float:
    """Read the longitude of the prime meridian in radians."""
    frame = base.get('datum') or base.get('datum_ensemble') or {}
    meridian = base.get('prime_meridian') or frame.get('prime_meridian') or {}
    longitude = meridian.get('longitude', 0.0)
    if isinstance(longitude, Mapping):
        return float(longitude['value']) * _unit(longitude['unit'])
    return math.radians(longitude)


def _projection(part: Mapping[str, Any]) -> dict[str, float]:
    """Read method and non-zero parameters of a projection, in radians, meters and ratios."""
    conversion = part.get('conversion')
    if conversion is None:
        return {}
    method = conversion['method']
    code = method.get('id', {}).get('code')
    figures = {f'method {SAME_METHOD.get(code, code) or _plain(method["name"])}': 1.0}
    for parameter in conversion.get('parameters', ()):
        key = parameter.get('id', {}).get('code') or _plain(parameter['name'])
        value = float(parameter['value']) * _unit(parameter.get('unit', 'unity'))
        if value:
            figures[f'parameter {key}'] = value
    return figures


def _unit(unit: str | Mapping[str, Any]) -> float:
    """Convert a unit to radians, meters or one."""
    return UNITS[unit] if isinstance(unit, str) else float(unit['conversion_factor'])


def _directions(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Find the directions of GDAL's x and y."""
    found = tuple(axis['direction'] for axis in part['coordinate_system']['axis'][:2])
    return ('east', 'north') if found == ('north', 'east') else found
