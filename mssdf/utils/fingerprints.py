"""Facts of files that change with their content, for fingerprints of data."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .folders import files_below


def visible_files(*folders: Path) -> list[Path]:
    """List all files under some folders, sorted, without hidden files and folders.

    Caches are hidden, and they change with every reader.
    """
    return sorted({path for folder in folders for path in files_below(folder)})


def file_facts(paths: Iterable[Path], root: Path) -> list[tuple[str, int, int]]:
    """List the name, the size in bytes and the time of change in nanoseconds of each file.

    Args:
        paths: paths of the files.
        root: folder to which names are relative; a file outside keeps its full name.
    """
    facts = []
    for path in paths:
        status = path.stat()
        place = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        facts.append((place, status.st_size, status.st_mtime_ns))
    return facts


def digest_of(*values: Any) -> str:
    """Compute a short hash of plain values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
