"""Files of a folder and no others, whatever a record in it names."""

import os
from pathlib import Path


class OutsideError(ValueError):
    """A path that leads out of the folder to be written."""


def inside(folder: str | os.PathLike, *parts: str | os.PathLike) -> Path:
    """A path below a folder, for writing, moving or removing.

    Links on the way are followed before it is judged; a link at the very end is not, as it would
    itself be replaced or removed.

    Args:
        folder: folder that must hold it.
        parts: its path, relative to the folder.

    Raises:
        OutsideError: if it leads elsewhere.
    """
    path = Path(folder, *parts)
    root = os.path.realpath(folder)
    above = os.path.realpath(path.parent)
    within = above == root or above.startswith(root.rstrip(os.sep) + os.sep)
    if not within or path.name in ('', os.pardir) or path == Path(folder):
        raise OutsideError(f'expected a path inside {folder}, found {os.path.join("", *parts)!r}')
    return path
