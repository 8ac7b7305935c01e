"""Files of folders as users see them: links followed, hidden files skipped, any letter case."""

import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from mmengine.logging import print_log

# Names of a folder's entries by their lower-case form.
Names = Mapping[str, list[str]]
Listing = Callable[[str], Names]


def is_hidden(path: str | os.PathLike) -> bool:
    """Tell whether a name is hidden, as are macOS's ``._NAME`` files on foreign disks."""
    return os.path.basename(path).startswith('.')


def has_suffix(path: str | os.PathLike, suffix: str) -> bool:
    """Tell whether a name ends with a suffix, in any letter case."""
    return os.path.basename(path).lower().endswith(suffix.lower())


def files_in(folder: Path, suffix: str = '') -> list[Path]:
    """List the files of a folder itself that are not hidden, sorted; none if it is missing.

    Args:
        folder: folder to list.
        suffix: ending of their names, in any letter case.
    """
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not is_hidden(path) and has_suffix(path, suffix) and path.is_file()
    )


def files_below(root: Path, suffix: str = '') -> list[Path]:
    """List the files of a folder and all folders below it, sorted, without hidden ones.

    Links to folders are followed. Each folder is read once, so that cycles of links end, and a
    folder that is reached in two ways gives its files once, under its own path if it has one.

    Args:
        root: folder to list; a missing one has no files.
        suffix: ending of their names, in any letter case.
    """
    if not root.is_dir():
        return []

    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = deque([root]), deque[Path]()

    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))

        try:
            paths = sorted(path for path in folder.iterdir() if not is_hidden(path))
        except PermissionError:
            message = f'{folder} cannot be read (permission denied), its files are left out'
            print_log(message, logger='current', level=logging.WARNING)
            continue

        # Linked folders come last, so that a file gets its own path if it has one.
        for path in paths:
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif has_suffix(path, suffix) and path.is_file():
                found.append(path)

    return sorted(found)


def list_folder(folder: str) -> dict[str, list[str]]:
    """List a folder's names by their lower-case form; empty if it cannot be listed."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(folder or '.')
    except OSError:
        return found
    for name in sorted(names):
        found.setdefault(name.lower(), []).append(name)
    return found


def in_any_case(path: Path, listing: Listing = list_folder) -> Path:
    """Find the file of a name, or the only one whose name differs in letter case alone.

    Args:
        path: path of the file.
        listing: function that lists a folder; a cached one saves time for many files.

    Returns:
        Path of the file; ``path`` if there is none, or several.
    """
    if path.exists():
        return path
    names = listing(str(path.parent)).get(path.name.lower(), [])
    return path.with_name(names[0]) if len(names) == 1 else path
