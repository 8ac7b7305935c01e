"""Lock on a folder that one call at a time writes to."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mssdf.errors import UsageError

LOCK = '.lock'


@contextmanager
def lock_folder(folder: Path, option: str = '--out') -> Iterator[None]:
    """Lock a folder until this process has ended in any way.

    Args:
        folder: folder to write to, which is created if it is missing.
        option: option of the command line that names it.

    Raises:
        UsageError: if another call writes to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, 'a+') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UsageError(
                f'{option} {folder}: expected a folder that no other call writes to, found one in '
                f'use by {file.read().strip() or "another process"}'
            ) from None
        except OSError:
            pass  # the file system has no locks

        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
        yield
