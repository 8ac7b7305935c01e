"""Files that exist completely or not at all, even if the process is killed."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

BACKEND = 'mssdf_atomic'
PREFIX, SUFFIX = '.', '.mssdf-partial'
REPLACED = '.mssdf-replaced'


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, flush to the disk, and move into place.

    Raises:
        OSError: if that fails; an earlier file at ``path`` is intact then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{PREFIX}{path.name}.{os.getpid()}{SUFFIX}')
    try:
        with open(partial, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def partial_file(path: str | Path) -> Iterator[Path]:
    """Provide a temporary name in the same folder, moved into place after the block."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{PREFIX}{path.name}.{os.getpid()}{SUFFIX}')
    try:
        yield partial
        with open(partial, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def partial_folder(
    path: str | Path, main: bool = True, wait: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """Provide a temporary folder, moved into place as a whole after the block.

    Until then, an earlier folder at ``path`` is kept.

    Args:
        path: path of the final folder.
        main: whether this process creates and moves the folder; of several, one does.
        wait: function that waits for all processes that write into the folder.
    """
    path = Path(path)
    partial = path.with_name(f'{PREFIX}{path.name}{SUFFIX}')
    old = path.with_name(f'{PREFIX}{path.name}{REPLACED}')

    if main:
        _remove(partial)
        _remove(old)
        partial.mkdir(parents=True)

    wait()

    try:
        yield partial
        wait()
        if main:
            _sync_folder(partial)
            if path.exists():  # a folder cannot be replaced in one step
                os.replace(path, old)
            os.replace(partial, path)
            _sync_folder(path.parent)
    except BaseException:
        if main:
            _remove(partial)
        raise

    wait()
    if main:
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the new name to the disk as well, where the system allows folders to be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def put_back_replaced_folders(folder: str | Path) -> list[Path]:
    """Undo a replacement that was killed between its two moves; return the paths."""
    found = []
    for old in sorted(Path(folder).glob(f'{PREFIX}*{REPLACED}')):
        path = old.with_name(old.name[len(PREFIX) : -len(REPLACED)])
        if path.exists():  # the replacement was completed
            _remove(old)
        else:
            os.replace(old, path)
            found.append(path)
    return found


def remove_partial_files(folder: str | Path) -> list[Path]:
    """Remove files and folders that killed processes left half written; return their paths.

    Files that a library has written beside them are removed too, such as GDAL's ``NAME.ovr.tmp``.
    """
    put_back_replaced_folders(folder)
    found = sorted(Path(folder).glob(f'{PREFIX}*{SUFFIX}*'))
    for path in found:
        _remove(path)
    return found


@register_backend(BACKEND, force=True)
class AtomicLocalBackend(LocalBackend):
    """A storage backend of MMEngine that writes local files atomically."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; see :func:`write_atomically`."""
        write_atomically(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text; see :func:`write_atomically`."""
        write_atomically(filepath, obj.encode(encoding))
