"""Opening rasters by the rules of :mod:`~mssdf.rasters.access`."""

import os
import re
import warnings
from functools import lru_cache
from pathlib import Path, PurePath

from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader

from mssdf.utils.allowances import ALLOW, allowed, lies_below
from mssdf.utils.safe_xml import read_xml

from .access import VIRTUAL, drivers_of, is_network
from .read_errors import UnreadableFileError, is_local
from .virtual_rasters import is_virtual, references_of

# Text that describes a raster elsewhere (VRT, WMS, WMTS, a tile index, STAC): none of it may stand
# in a file that is named as something else.
DESCRIPTIONS = (b'<', b'{')
BESIDE = ('.msk', '.ovr')
# A file of the same folder, as GDAL writes it.
PLAIN_NAME = re.compile(r'(:::BASE:::)?[^/\\:]+')


def open_raster(path: str) -> DatasetReader:
    """Open a raster for reading, quiet about a missing georeference (the grid checks see it).

    Raises:
        RasterioError: when it cannot be opened.
        UnreadableFileError: when its header holds what is no text or no number, or it leads where
            no file may lead.
    """
    drivers = drivers_of(path)
    _check_access(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            return _open(path, drivers)
    except RasterioIOError as error:
        if is_local(path) and 'VRT' not in drivers and is_virtual(path):
            raise UnreadableFileError(
                path,
                f'expected a file of {drivers[0]} by its name, found a VRT, which refers to other '
                f'files; name it {VIRTUAL}, or set {ALLOW}=vrt',
            ) from error
        raise
    except (ValueError, OverflowError) as error:
        raise damaged_header(path, error) from error


@ensure_env_with_credentials
def _open(path: str, drivers: list[str]) -> DatasetReader:
    # rasterio.open takes a single driver
    return DatasetReader(os.fspath(path), driver=drivers, sharing=False)


def damaged_header(path: str, error: Exception) -> UnreadableFileError:
    """Make the error for a header that rasterio cannot make sense of."""
    # A UnicodeDecodeError holds all the text that it is about.
    what = error.reason if isinstance(error, UnicodeDecodeError) else str(error)[:200]
    return UnreadableFileError(path, f'a damaged header: {type(error).__name__}: {what}')


def check_virtual(path: str, folder: str | None = None) -> None:
    """Refuse a VRT that leads to a server, out of a folder, or back to itself.

    Args:
        path: local VRT.
        folder: folder that its sources must lie below; None lets them lie anywhere on this
            machine, as for a VRT that the user has named.

    Raises:
        OSError: if it, or a VRT among its sources, cannot be read.
        UnreadableFileError: if it is refused.
    """
    start = os.path.realpath(path)
    pending = [start]
    above: dict[str, tuple[str, ...]] = {start: (start,)}
    while pending:
        current = pending.pop()
        for name in references_of(current):
            _check_reference(path, name, folder)
            source = os.path.realpath(name)
            if source in above[current]:
                raise UnreadableFileError(path, f'expected sources, found the VRT in {source}')
            if PurePath(name).suffix.lower() == VIRTUAL and os.path.isfile(name):
                if source not in above:
                    pending.append(source)
                above[source] = (*above[current], source)
            elif _begins_with(name, DESCRIPTIONS):
                raise UnreadableFileError(
                    path, f'expected pixels in {name}, found a description of other files'
                )


def _check_reference(path: str, name: str, folder: str | None) -> None:
    if name.lstrip().startswith(('<', '{')) or (is_network(name) and not allowed('network')):
        raise UnreadableFileError(
            path,
            f'expected sources on this machine, found {name[:200]!r}; {ALLOW}=network reads it',
        )
    if folder is not None and not allowed('outside') and not lies_below(name, folder):
        if not is_network(name):
            raise UnreadableFileError(
                path,
                f'expected sources below {folder}, found {name!r}; name the VRT itself, or set '
                f'{ALLOW}=outside',
            )


def _check_access(path: str) -> None:
    virtual = PurePath(path).suffix.lower() == VIRTUAL
    if not is_local(path):
        if virtual and not allowed('network'):
            raise UnreadableFileError(
                path,
                'expected a VRT in a file of this machine, as it is read before it is opened, '
                f'found one elsewhere; {ALLOW}=network opens it',
            )
        return
    if os.path.isfile(path) and (virtual or (allowed('vrt') and is_virtual(path))):
        status = os.stat(path)
        _check_virtual_once(path, status.st_size, status.st_mtime_ns, os.environ.get(ALLOW))
    for side in BESIDE:
        if _begins_with(path + side, DESCRIPTIONS):
            raise UnreadableFileError(
                path, f'expected pixels in {path + side}, found a description of other files'
            )
    _check_auxiliary(path)


@lru_cache(maxsize=1024)
def _check_virtual_once(path: str, size: int, changed: int, options: str | None) -> None:
    check_virtual(path)


def _check_auxiliary(path: str) -> None:
    """Refuse metadata beside a raster by which GDAL would take another file for its overviews."""
    side = Path(f'{path}.aux.xml')
    if not side.is_file():
        return
    try:
        items = read_xml(side).iter('MDI')
    except (OSError, ValueError):
        return  # GDAL does without it
    named = [item.text or '' for item in items if item.get('key') == 'OVERVIEW_FILE']
    for name in named:
        if not PLAIN_NAME.fullmatch(name):
            raise UnreadableFileError(
                path, f'expected overviews beside it, found {name[:200]!r} in {side}'
            )


def _begins_with(path: str, marks: tuple[bytes, ...]) -> bool:
    if not is_local(path):
        return False
    try:
        with open(path, 'rb') as stream:
            return stream.read(64).removeprefix(b'\xef\xbb\xbf').lstrip().startswith(marks)
    except OSError:
        return False
