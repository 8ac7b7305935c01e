"""Errors of reading a raster file: which there are, what they mean, and which of them last."""

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

# GDAL's own errors come through rasterio now and then as they are. A damaged header may ask for
# more memory than there is.
READ_ERRORS = (OSError, RasterioError, CPLE_BaseError, MemoryError)


class UnreadableFileError(OSError):
    """A raster that cannot be opened or read.

    Args:
        path: path of the raster.
        reason: cause, in a few words.
    """

    def __init__(self, path: str, reason: object) -> None:
        super().__init__(f'{path}: {reason}')
        self.path = path
        self.reason = reason


def is_local(path: str) -> bool:
    """Tell whether the path is an ordinary file's, not one of GDAL's virtual ones."""
    return not path.startswith('/vsi') and '://' not in path


def lasting_reason(path: str) -> str | None:
    """Find a fault of a local file that no second attempt mends; None if there is none."""
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


def is_lasting(path: str, error: BaseException) -> bool:
    """Tell whether an error of reading a file would come again at a further attempt."""
    return (
        isinstance(error, UnreadableFileError | MemoryError)
        or lasting_reason(path) is not None
        # libtiff and GDAL on a damaged file: reading it again finds the same bytes
        or (is_local(path) and 'not recognized as being in a supported' in str(error))
    )


def read_reason(path: str, error: BaseException) -> str:
    """Describe in one line why a file could not be read."""
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
