"""Rules for opening rasters: which drivers read a name, and what a file may lead to.

A raster's name says how it is read. What a file leads to, be it named in a VRT or in an index, is
the file's choice and not the user's: it stays on this machine and, where a folder of data is
given, below that folder. The variable ``MSSDF_ALLOW`` lifts single rules; see docs/guide/trust.md.
"""

import os
import re
from functools import lru_cache
from pathlib import PurePath

import rasterio

from mssdf.utils.allowances import allowed

VIRTUAL = '.vrt'
# The only drivers that read a file of such a name.
DRIVERS: dict[str, tuple[str, ...]] = {
    '.tif': ('GTiff', 'LIBERTIFF'),
    '.tiff': ('GTiff', 'LIBERTIFF'),
    '.png': ('PNG',),
    '.jpg': ('JPEG',),
    '.jpeg': ('JPEG',),
    '.jp2': ('JP2OpenJPEG', 'JP2ECW', 'JP2KAK', 'JP2MrSID', 'JP2Lura'),
    VIRTUAL: ('VRT',),
}
# Of these, all that matters beside the file has a name that is known beforehand.
ALONE = tuple(suffix for suffix in DRIVERS if suffix != VIRTUAL)
# Drivers whose files lead to other files or to servers: they read no other name.
LEADING_ELSEWHERE = frozenset((
    'CSW', 'DAAS', 'DERIVED', 'DIMAP', 'ECRGTOC', 'EEDA', 'EEDAI', 'ESRIC', 'GTI', 'HTTP',
    'KMLSUPEROVERLAY', 'MAP', 'MEM', 'MRF', 'Memory', 'NGW', 'OGCAPI', 'OZI', 'PLMOSAIC',
    'PLSCENES', 'PostGISRaster', 'RPFTOC', 'STACIT', 'STACTA', 'TIL', 'VRT', 'WCS', 'WFS', 'WMS',
    'WMTS',
))  # fmt: skip
# GDAL's file systems within a local file.
LOCAL_SYSTEMS = ('vsizip', 'vsigzip', 'vsitar', 'vsi7z', 'vsirar')
SYSTEM = re.compile(r'/(vsi\w+)/')


def is_network(path: str) -> bool:
    """Tell whether a path leads to a server, or to where it cannot be told."""
    if '://' in path:
        return True
    return any(system not in LOCAL_SYSTEMS for system in SYSTEM.findall(path))


def local_part(path: str) -> str:
    """Find the local file of a path: itself, or an archive; '' if it leads to a server."""
    if is_network(path):
        return ''
    if not SYSTEM.match(path):
        return path
    place = PurePath(SYSTEM.split(path)[-1])
    for part in (place, *place.parents):
        for candidate in (str(part), f'/{part}'):  # GDAL writes absolute ones with two slashes
            if os.path.isfile(candidate):
                return candidate
    return ''


def drivers_of(path: str) -> list[str]:
    """List the names of the GDAL drivers that may open a path."""
    drivers = DRIVERS.get(PurePath(path).suffix.lower())
    chosen = list(drivers) if drivers else list(_self_contained())
    return [*chosen, 'VRT'] if allowed('vrt') and 'VRT' not in chosen else chosen


@lru_cache(maxsize=1)
def _self_contained() -> tuple[str, ...]:
    with rasterio.Env() as env:
        return tuple(sorted(set(env.drivers()) - LEADING_ELSEWHERE))
