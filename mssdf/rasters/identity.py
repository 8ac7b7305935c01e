"""Identity of a raster: facts of all files that decide its pixels and where they lie.

These are the file itself, what GDAL reads beside it (masks, overviews, georeference), the archive
that it is in, and, of a VRT, its sources with all of theirs.
"""

import os
from collections.abc import Iterator
from pathlib import PurePath

from mssdf.utils.allowances import allowed
from mssdf.utils.folders import Listing, list_folder

from .access import ALONE, VIRTUAL, local_part
from .opening import open_raster
from .read_errors import READ_ERRORS, is_local
from .virtual_rasters import is_virtual, references_of

# Name, size in bytes, time of change in nanoseconds; None for a source that is not there or on a
# server.
FileFacts = tuple[str, int | None, int | None]

# What GDAL looks for beside NAME.EXT, as NAME.EXT<end> and as NAME<end>.
BESIDE_NAME = (
    '.msk', '.ovr', '.aux.xml', '.msk.ovr', '.ovr.msk', '.msk.aux.xml', '.ovr.aux.xml',
    '.ovr.ovr', '.msk.msk', '.rrd', '.hdr', '.prj',
)  # fmt: skip
BESIDE_STEM = (
    '.aux', '.rrd', '.ige', '.rde', '.wld', '.tab', '.prj', '.hdr', '.clr', '.stx', '.rpb', '.rpc',
    '_rpc.txt',
)  # fmt: skip


def raster_facts(path: str, listing: Listing = list_folder) -> list[FileFacts]:
    """Collect facts that change whenever a raster's pixels, mask or georeference do.

    Args:
        path: local file, or one of GDAL's virtual paths.
        listing: lists a folder; one that remembers saves time where many rasters lie in it.

    Returns:
        Facts of each file, the raster's own first.

    Raises:
        OSError: if the file itself, or a VRT among its sources, cannot be read.
    """
    facts: dict[str, FileFacts] = {}
    _collect(path, listing, facts)
    return list(facts.values())


def is_complete(facts: list[FileFacts]) -> bool:
    """Tell whether the facts tell every change: no file of a server is among them."""
    return all(size is not None or local_part(name) for name, size, _ in facts)


def bytes_of(facts: list[FileFacts]) -> int:
    """Sum the sizes of all files in bytes."""
    return sum(size or 0 for _, size, _ in facts)


def _collect(path: str, listing: Listing, facts: dict[str, FileFacts]) -> None:
    if path in facts:  # a source of several bands, or a VRT that refers to itself
        return
    if not is_local(path):
        place = local_part(path)
        facts[path] = _facts(path, place) if place else (path, None, None)
        return
    facts[path] = _facts(path, path)
    for side in side_files(path, listing):
        facts.setdefault(side, _facts(side, side))
    for inner in _parts(path):
        if is_local(inner) and not os.path.exists(inner):
            facts.setdefault(inner, (inner, None, None))
        else:
            _collect(inner, listing, facts)


def _facts(name: str, place: str) -> FileFacts:
    status = os.stat(place)
    return name, status.st_size, status.st_mtime_ns


def side_files(path: str, listing: Listing = list_folder) -> Iterator[str]:
    """Find files beside a raster that GDAL reads with it, whatever the case of their endings."""
    folder, name = os.path.split(path)
    names = listing(folder)
    stem, extension = os.path.splitext(name)
    ends = [name + end for end in BESIDE_NAME]
    ends += [stem + end for end in (*BESIDE_STEM, *_world_files(extension))]
    for end in dict.fromkeys(end.lower() for end in ends):
        for found in names.get(end, ()):
            if found != name:
                yield os.path.join(folder, found)


def _world_files(extension: str) -> tuple[str, ...]:
    letters = extension.lower().removeprefix('.')
    return (f'.{letters}w', f'.{letters[0]}{letters[-1]}w') if letters else ()


def _parts(path: str) -> list[str]:
    """List the sources of a VRT, or further files of a format that has several."""
    suffix = PurePath(path).suffix.lower()
    if suffix == VIRTUAL or (allowed('vrt') and is_virtual(path)):
        return references_of(path)
    if suffix in ALONE:
        return []
    try:
        with open_raster(path) as raster:
            return [file for file in raster.files if file != path]
    except READ_ERRORS:
        return []  # reading it says why
