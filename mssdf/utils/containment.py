"""Restriction of paths to one folder, whatever a record in it names."""

import os
from pathlib import Path


class OutsideError(ValueError):
    """An error for a path that leads out of the output folder."""


def inside(folder: str | os.PathLike, *parts: str | os.PathLike) -> Path:
    """Return a path below a folder, for writing, moving or removing.

    Links on the way are resolved before the check; a link at the very end is not, as it would be
    replaced or removed itself.

    Args:
        folder: folder that must contain the path.
        parts: parts of the path, relative to the folder.

    Raises:
        OutsideError: if the path leads elsewhere.
    """
    path = Path(folder, *parts)
    root = os.path.realpath(folder)
    above = os.path.realpath(path.parent)
    within = above == root or above.startswith(root.rstrip(os.sep) + os.sep)
    if not within or path.name in ('', os.pardir) or path == Path(folder):
        raise OutsideError(f'expected a path inside {folder}, found {os.path.join("", *parts)!r}')
    return path
