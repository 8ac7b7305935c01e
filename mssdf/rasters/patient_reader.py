"""Reading from open rasters, with further attempts when a read fails."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from rasterio.io import DatasetReader

from .pool import RasterPool
from .raster import RasterHeader
from .read_errors import Patience, read_patiently

T = TypeVar('T')


class PatientReader:
    """Opens and reads rasters; a file is opened anew before each further attempt.

    Args:
        max_open: bound on open files.
        patience: how often a read is tried.
        recovered: called with the file, the number of the attempt that worked and the error
            before it.
    """

    def __init__(
        self,
        max_open: int,
        patience: Patience,
        recovered: Callable[[str, int, str], Any] = lambda path, attempt, reason: None,
    ) -> None:
        self.pool = RasterPool(max_open)
        self.patience = patience
        self.recovered = recovered

    def read(
        self,
        path: str,
        call: Callable[[DatasetReader], T],
        *,
        expected: RasterHeader | None = None,
        patient: bool = True,
    ) -> T:
        """What ``call`` returns for the open file.

        Args:
            path: of the file.
            call: reads from it.
            expected: what its header said when it was indexed.
            patient: whether to try again at all.

        Raises:
            UnreadableFileError: when the last attempt has failed.
        """
        return read_patiently(
            path,
            lambda: call(self.pool.get(path, expected)),
            self.patience if patient else Patience(attempts=1),
            failed=partial(self.pool.discard, path),
            recovered=partial(self.recovered, path),
        )

    def close(self) -> None:
        """Close all files."""
        self.pool.close()
