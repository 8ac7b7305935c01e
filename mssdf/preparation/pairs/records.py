"""Records of the tiles that an earlier run has made, with their files."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mssdf.utils.containment import OutsideError

from .build_settings import BuildSettings

RECORDS = '.build'
# Number of bytes that are read at once for a checksum.
CHUNK = 1 << 20
FILE_KEYS = dict(path=str, bytes=int, sha256=str)
VALUE_KINDS = dict(
    dropped=int, valid=int, overlap=int, main_raster=str, fills=dict, correlations=str
)


def empty_record() -> dict[str, Any]:
    """Make a record without content."""
    return dict(
        status='dropped',
        windows=0,
        dropped={},
        pixels=0,
        valid={},
        overlap={},
        main_raster={},
        fills={},
        correlations={},
        files=[],
    )


def record_path(settings: BuildSettings, name: str) -> Path:
    """Return the path of a tile's record."""
    return settings.place(RECORDS, f'{name}.json')


def list_records(settings: BuildSettings) -> list[Path]:
    """List the records of all tiles, sorted; refuse one that names a file outside the folder.

    Raises:
        ValueError: if a record names such a file.
    """
    folder = settings.folder(RECORDS)
    names = sorted(path.name for path in folder.glob('*.json')) if folder.is_dir() else []
    paths = [settings.place(RECORDS, name) for name in names]
    for path in paths:
        record = load_record(path)
        for entry in record['files'] if record else ():
            _place(settings, path, entry['path'])
    return paths


def _place(settings: BuildSettings, record: Path, path: str) -> Path:
    try:
        return settings.place(path)
    except OutsideError as error:
        raise ValueError(f'{record}: files: {error}') from None


def load_record(path: Path) -> dict[str, Any] | None:
    """Load a record; None if it is missing or malformed."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    keys = {*empty_record(), 'name', 'part', 'digest', 'crs', 'bounds'}
    if not isinstance(record, dict) or not keys <= set(record) or not _has_form(record):
        return None
    files = record['files']
    known = isinstance(files, list) and all(isinstance(entry, dict) for entry in files)
    if not known or not all(
        isinstance(entry.get(key), kind) for entry in files for key, kind in FILE_KEYS.items()
    ):
        return None
    return record


def _has_form(record: Mapping[str, Any]) -> bool:
    """Tell whether the values have the types that a report needs."""
    return all(isinstance(record[key], type(value)) for key, value in empty_record().items()) and (
        all(isinstance(v, kind) for key, kind in VALUE_KINDS.items() for v in record[key].values())
    )


def remove_files(
    settings: BuildSettings, record: Mapping[str, Any], keep: Collection[str] = ()
) -> None:
    """Remove the files that a record lists, apart from ``keep``.

    Raises:
        OutsideError: if the record names a file outside the folder.
    """
    for entry in record['files']:
        if entry['path'] not in keep:
            settings.place(entry['path']).unlink(missing_ok=True)


def is_intact(record: Mapping[str, Any], settings: BuildSettings) -> bool:
    """Tell whether all files of a record exist with the content that it states.

    Raises:
        OutsideError: if the record names a file outside the folder.
    """
    return all(
        (path := settings.place(entry['path'])).is_file()
        and path.stat().st_size == entry['bytes']
        and checksum(path) == entry['sha256']
        for entry in record['files']
    )


def checksum(path: Path) -> str:
    """Compute the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
