"""Reading from open rasters, with further attempts when a read fails."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from rasterio.io import DatasetReader

from .pool import RasterPool
from .raster_header import RasterHeader
from .retries import RetryPolicy

T = TypeVar('T')


class RasterReader:
    """A pool of open rasters that is read with retries; a file is opened again for each attempt.

    Args:
        max_open: largest number of open files.
        retries: policy of further attempts.
    """

    def __init__(self, max_open: int, retries: RetryPolicy) -> None:
        self.pool = RasterPool(max_open)
        self.retries = retries

    def read(
        self,
        path: str,
        call: Callable[[DatasetReader], T],
        *,
        expected: RasterHeader | None = None,
        retry: bool = True,
    ) -> T:
        """Return what ``call`` returns for the open file.

        Args:
            path: path of the file.
            call: function that reads from the open file.
            expected: header of the file when it was indexed; None compares nothing.
            retry: whether to try again after a failure.

        Raises:
            UnreadableFileError: if the last attempt has failed.
        """
        retries = self.retries if retry else self.retries.once()
        return retries.run(
            path,
            lambda: call(self.pool.get(path, expected)),
            failed=partial(self.pool.discard, path),
        )

    def close(self) -> None:
        """Close all files."""
        self.pool.close()
