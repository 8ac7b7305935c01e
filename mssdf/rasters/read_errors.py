"""What can go wrong when a file is read: which errors, what they mean, and when to try again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

T = TypeVar('T')

# GDAL's own errors come through rasterio now and then as they are. A damaged header may ask for
# more memory than there is.
READ_ERRORS = (OSError, RasterioError, CPLE_BaseError, MemoryError)


class UnreadableFileError(OSError):
    """A raster of a scene cannot be opened or read."""

    def __init__(self, path: str, reason: object) -> None:
        super().__init__(f'{path}: {reason}')
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Patience:
    """How often a failed read is tried, and how long to wait before the second time.

    The wait doubles each time: three attempts with half a second wait 1.5 s in all.

    Raises:
        ValueError: on fewer than one attempt or a negative wait.
    """

    attempts: int = 3
    seconds: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not 1 <= self.attempts <= 10:
            raise ValueError(f'read_attempts: expected 1 to 10, found {self.attempts!r}')
        if not 0 <= self.seconds <= 60:
            raise ValueError(f'retry_seconds: expected 0 to 60, found {self.seconds!r}')


def is_local(path: str) -> bool:
    """Whether the path is an ordinary file's, not one of GDAL's virtual ones."""
    return not path.startswith('/vsi') and '://' not in path


def lasting_reason(path: str) -> str | None:
    """What is wrong with a local file that no second attempt mends; None if nothing is seen."""
    if not is_local(path):
        return None
    try:
        with open(path, 'rb') as stream:
            return None if stream.read(1) else 'the file is empty (0 bytes)'
    except FileNotFoundError:
        return 'no such file'
    except PermissionError:
        return 'permission denied'
    except OSError:
        return None


def read_reason(path: str, error: BaseException) -> str:
    """Why a file could not be read, in one line."""
    if isinstance(error, UnreadableFileError):
        return str(error.reason)
    lasting = lasting_reason(path)
    if lasting is not None:
        return lasting
    if isinstance(error, MemoryError):
        return f'it asks for more memory than there is ({error})'
    # rasterio's 'Read failed. See previous exception' says less than that exception
    cause = error.__cause__ if isinstance(error.__cause__, CPLE_BaseError) else None
    return ' '.join(str(cause or error).split()) or type(error).__name__


def read_patiently(
    path: str,
    read: Callable[[], T],
    patience: Patience,
    *,
    failed: Callable[[], None] = lambda: None,
    recovered: Callable[[int, str], None] = lambda attempt, reason: None,
) -> T:
    """Read, and try again when that fails, as a network or a busy file server does now and then.

    Args:
        path: of the file.
        read: does it.
        patience: how often, and how long to wait.
        failed: called after each failure, for instance to close the file.
        recovered: called with the number of the attempt that worked and the last error.

    Raises:
        UnreadableFileError: when the last attempt has failed, or a further one would not help.
    """
    reason = ''
    for attempt in range(1, patience.attempts + 1):
        try:
            result = read()
        except READ_ERRORS as error:
            failed()
            reason = read_reason(path, error)
            if attempt == patience.attempts or _is_lasting(path, error):
                raise UnreadableFileError(path, reason) from error
            time.sleep(patience.seconds * 2 ** (attempt - 1))
        else:
            if attempt > 1:
                recovered(attempt, reason)
            return result
    raise AssertionError('unreachable')


def _is_lasting(path: str, error: BaseException) -> bool:
    return (
        isinstance(error, UnreadableFileError | MemoryError)
        or lasting_reason(path) is not None
        # libtiff and GDAL on a damaged file: reading it again finds the same bytes
        or (is_local(path) and 'not recognized as being in a supported' in str(error))
    )
