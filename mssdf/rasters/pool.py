"""A pool of open rasters, kept per process and bounded in number."""

import os
from collections import OrderedDict
from typing import Any

from rasterio.io import DatasetReader

from mssdf.errors import ConfigError

from .opening import open_raster
from .raster_header import RasterHeader
from .read_errors import UnreadableFileError

# As environment variables, which GDAL reads in every process and thread, and which a user may set.
GDAL_OPTIONS = dict(
    # MiB of decoded blocks per process; GDAL's own default is a share of the whole memory, which
    # every worker would take.
    GDAL_CACHEMAX='128',
    # Do not list the folder at each opening; side files (.msk, .aux.xml) are still looked for.
    GDAL_DISABLE_READDIR_ON_OPEN='TRUE',
    # A server that does not answer must not hold up a training for ever. GDAL tries again by itself
    # when a server says that it is busy.
    GDAL_HTTP_CONNECTTIMEOUT='20',
    GDAL_HTTP_TIMEOUT='60',
    GDAL_HTTP_MAX_RETRY='3',
    GDAL_HTTP_RETRY_DELAY='0.5',
)


def set_gdal_options() -> None:
    """Set what the user has not set. GDAL looks once, when it first reads a raster."""
    for option, value in GDAL_OPTIONS.items():
        os.environ.setdefault(option, value)


class RasterPool:
    """A pool of rasters by path; the least recently used one is closed if there are too many.

    A handle is never used by another process than its own: after a fork the child opens its own,
    as both would move one and the same file position.

    Args:
        max_open: largest number of open files.
    """

    def __init__(self, max_open: int = 64) -> None:
        if max_open < 1:
            raise ConfigError('max_open_files', 'at least 1', max_open)
        set_gdal_options()
        self.max_open = max_open
        self._rasters: OrderedDict[str, DatasetReader] = OrderedDict()
        self._pid = os.getpid()

    def get(self, path: str, expected: RasterHeader | None = None) -> DatasetReader:
        """Return the open raster of a path.

        Args:
            path: path of the file.
            expected: header of the file when it was indexed, which is compared when it is opened;
                None compares nothing.

        Raises:
            UnreadableFileError: if it is no longer the raster that it was.
        """
        if self._pid != os.getpid():
            self._rasters = OrderedDict()
            self._pid = os.getpid()
        raster = self._rasters.get(path)
        if raster is None:
            while len(self._rasters) >= self.max_open:
                self._rasters.popitem(last=False)[1].close()
            raster = open_raster(path)
            if expected is not None:
                _check_unchanged(raster, expected)
            self._rasters[path] = raster
        self._rasters.move_to_end(path)
        return raster

    def discard(self, path: str) -> None:
        """Forget a file, for instance after a failed read."""
        raster = self._rasters.pop(path, None)
        if raster is not None and self._pid == os.getpid():
            raster.close()

    def close(self) -> None:
        """Close all files of this process."""
        for path in list(self._rasters):
            self.discard(path)

    def __len__(self) -> int:
        return len(self._rasters) if self._pid == os.getpid() else 0

    def __getstate__(self) -> dict[str, Any]:
        return dict(max_open=self.max_open)

    def __setstate__(self, state: dict[str, Any]) -> None:
        RasterPool.__init__(self, state['max_open'])


def _check_unchanged(raster: DatasetReader, expected: RasterHeader) -> None:
    """Refuse a file that was written again, after its windows were found, with another content."""
    found = (raster.count, raster.height, raster.width, tuple(raster.dtypes))
    before = (expected.count, expected.height, expected.width, expected.dtypes)
    if found != before:
        raster.close()
        words = '{} band(s) of {} x {} pixels of {}'
        raise UnreadableFileError(
            expected.path,
            f'it has changed since it was indexed: expected {words.format(*before)}, '
            f'found {words.format(*found)}',
        )
