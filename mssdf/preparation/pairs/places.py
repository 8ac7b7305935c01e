"""Rasters named on a command line by folders, patterns, lists or single files."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from mssdf.rasters.access import VIRTUAL, is_network
from mssdf.rasters.opening import check_virtual
from mssdf.utils.folders import files_below
from mssdf.utils.text_files import read_lines

from .boxes import CatalogError

SYSTEM = '/vsi'
RASTERS = ('.tif', '.tiff', '.vrt', '.jp2', '.img', '.asc', '.png', '.jpg', '.jpeg')
SEPARATORS = re.compile(r'[;,\t]')
MAGIC = re.compile(r'[*?[]')


def find_rasters(places: Iterable[str]) -> tuple[str, ...]:
    """Find the rasters in folders, patterns, lists (.txt) and single names, in that order.

    Links are followed; hidden files and folders are skipped.

    Args:
        places: paths; a folder stands for all rasters below it, a ``.txt`` file for the names in
            its lines, relative to its folder; a name that begins with ``/vsi`` is used unchanged.

    Raises:
        CatalogError: if nothing is found at a path.
        OSError: if a VRT below a folder cannot be read, or its sources are elsewhere.
    """
    found: dict[str, None] = {}
    for place in places:
        names = _names_at(place)
        if not names:
            raise CatalogError(
                f'{place}: expected a raster, a folder of rasters ({", ".join(RASTERS)}), a '
                'pattern or a .txt with one name in a line; found none'
            )
        found |= dict.fromkeys(names)
    return tuple(found)


def _names_at(place: str) -> list[str]:
    if place.startswith(SYSTEM):
        return [place]
    path = Path(os.path.expanduser(place))
    if path.is_dir():
        return list(_below(path))
    if path.is_file() and path.suffix.lower() == '.txt':
        return list(_listed(path))
    if path.is_file():
        return [str(path.absolute())]
    return _matching(path)


def _below(folder: Path) -> Iterator[str]:
    for path in files_below(folder):
        if path.suffix.lower() not in RASTERS:
            continue
        if path.suffix.lower() == VIRTUAL:  # not named by the user, so it must stay inside
            check_virtual(str(path), str(folder))
        yield str(path.absolute())


def _listed(path: Path) -> Iterator[str]:
    """Yield the names in the lines of a list; a line may have several, with separators."""
    for _, line in read_lines(path):
        if line.startswith('#'):
            continue
        names = [line] if _is_there(path, line) else SEPARATORS.split(line)
        for name in filter(None, (name.strip().strip('"\'') for name in names)):
            yield name if is_network(name) or name.startswith(SYSTEM) else _full_name(path, name)


def _full_name(listed_in: Path, name: str) -> str:
    name = os.path.expanduser(name)
    if '\\' in name and not _is_there(listed_in, name):  # written on Windows
        name = name.replace('\\', '/')
    return str((listed_in.parent / name).absolute())


def _is_there(listed_in: Path, name: str) -> bool:
    return os.path.exists(listed_in.parent / os.path.expanduser(name))


def _matching(pattern: Path) -> list[str]:
    """List the files that match a pattern, where ``**`` stands for any folders, read once."""
    parts = pattern.absolute().parts
    if '**' not in parts:
        return sorted(os.path.abspath(name) for name in glob.glob(str(pattern)))
    fixed = next(number for number, part in enumerate(parts) if MAGIC.search(part))
    root = Path(*parts[:fixed])
    if not root.is_dir():
        return []
    return [
        str(path)
        for path in files_below(root)
        if _matches(path.relative_to(root).parts, parts[fixed:])
    ]


def _matches(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == '**':
        return _matches(names, pattern[1:]) or (bool(names) and _matches(names[1:], pattern))
    return bool(names) and PurePath(names[0]).match(pattern[0]) and _matches(names[1:], pattern[1:])
