"""Files that are there whole or not at all, whenever the process dies."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

BACKEND = 'mssdf_atomic'
PREFIX, SUFFIX = '.', '.mssdf-partial'


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, bring it to the disk, and move it in place.

    Raises:
        OSError: if that fails; what was at ``path`` before is still there.
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


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk as well, where the system lets folders be opened."""
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


def remove_partial_files(folder: str | Path) -> list[Path]:
    """Remove what killed processes left half written in a folder; return their paths."""
    found = sorted(Path(folder).glob(f'{PREFIX}*{SUFFIX}'))
    for path in found:
        path.unlink(missing_ok=True)
    return found


@register_backend(BACKEND, force=True)
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local files, written atomically."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, see :func:`write_atomically`."""
        write_atomically(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text, see :func:`write_atomically`."""
        write_atomically(filepath, obj.encode(encoding))
