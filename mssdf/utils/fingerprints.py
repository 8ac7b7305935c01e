"""Facts of files that change whenever their content does, for fingerprints of data."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .folders import files_below


def visible_files(*folders: Path) -> list[Path]:
    """All files under some folders, sorted; not hidden ones and those of hidden folders.

    Caches are hidden and change with every reader.
    """
    return sorted({path for folder in folders for path in files_below(folder)})


def file_facts(paths: Iterable[Path], root: Path) -> list[tuple[str, int, int]]:
    """Facts of each file: its name, its size in bytes, and its time of change in nanoseconds.

    Args:
        paths: files.
        root: folder that names are relative to; a file outside keeps its full name.
    """
    facts = []
    for path in paths:
        status = path.stat()
        place = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        facts.append((place, status.st_size, status.st_mtime_ns))
    return facts


def digest_of(*values: Any) -> str:
    """Short hash of plain values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
