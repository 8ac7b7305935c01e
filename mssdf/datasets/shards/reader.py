"""Reading single windows out of shards, on a disk or in object storage."""

import io
import os
import struct
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mssdf.errors import ConfigError, MissingFileError, one_line

from .backend import require_litdata
from .index import INDEX, LITDATA_INDEX, ShardIndex
from .litdata_index import check_litdata_index
from .sample_format import BrokenSampleError, decode_sample

# Prefixes of object storage that LitData knows; from the first two it reads byte ranges.
REMOTE = ('s3://', 'gs://', 'r2://', 'azure://')

# A read from object storage is tried so often. LitData's own number is 1000.
ATTEMPTS = 5


class BrokenShardError(OSError):
    """A shard from which a window cannot be read."""


class ShardReader:
    """Windows of a folder of shards by number.

    It can be pickled and forked: what it opens belongs to the process that opened it. Local shards
    are mapped into memory where they lie; in object storage a window takes two requests for a
    range of bytes.

    Args:
        folder: path, or address such as ``s3://BUCKET/FOLDER``.
        cache_dir: folder that the index of object storage is kept in; None takes LitData's.
        storage_options: for object storage: arguments of boto3's client, such as ``endpoint_url``.
        max_open_files: shards that stay mapped, per process, while memory allows.
        threads: reads from object storage at a time, per process.
    """

    def __init__(
        self,
        folder: str,
        cache_dir: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        max_open_files: int = 256,
        threads: int = 16,
    ) -> None:
        if '://' in folder and not folder.startswith(REMOTE):
            raise ConfigError(
                'data_root', f'a folder or an address that begins with one of {REMOTE}', str(folder)
            )
        require_litdata()
        self.folder = folder
        self.remote = folder.startswith(REMOTE)
        self.cache_dir = cache_dir
        self.storage_options = dict(storage_options or {})
        self.max_open_files = max_open_files
        self.threads = threads
        self.index = self._load_index()
        self._first = np.cumsum((0, *self.index.samples)).tolist()
        self._dataset: Any = None
        self._pool: ThreadPoolExecutor | None = None
        self._pid: int | None = None

    def path(self, shard: int) -> str:
        """Return the file or address of a shard."""
        name = self.index.files[shard]
        return f'{self.folder}/{name}' if self.remote else os.path.join(self.folder, name)

    def read(self, shard: int, number: int) -> dict[str, Any]:
        """Read a window, as :func:`~mssdf.datasets.shards.decode_sample` returns it.

        Args:
            shard: number of the shard in the index.
            number: number of the window, counted from the first of all shards.

        Raises:
            BrokenShardError: when it cannot be read, whatever the reason.
        """
        if not self.remote:
            self._check_size(shard)
        from litdata.streaming.sampler import ChunkedIndex

        try:
            # By shard, as LitData would look for a plain number in one after the other.
            data = self._open()[ChunkedIndex(index=number, chunk_index=shard)]
            return decode_sample(data)
        except BrokenSampleError as error:
            raise BrokenShardError(f'window {number}: {error}') from error
        except Exception as error:  # LitData's, the storage client's, the network's
            raise BrokenShardError(
                f'window {number}: {type(error).__name__}: {one_line(error)}'
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__, _dataset=None, _pool=None, _pid=None)

    def _check_size(self, shard: int) -> None:
        """Refuse a file that is missing or cut off; LitData would wait for it for minutes."""
        path, expected = self.path(shard), self.index.sizes[shard]
        try:
            found = os.stat(path).st_size
        except OSError as error:
            raise BrokenShardError(f'expected a shard, found {error}') from error
        if found != expected:
            raise BrokenShardError(f'expected {expected} bytes, found {found}')

    def read_ahead(self, shard: int, number: int) -> 'Future[dict[str, Any]]':
        """Begin to read a window from object storage; see :meth:`read`."""
        self._open()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix='shards')
        return self._pool.submit(self.read, shard, number)

    def advise(self, shard: int, number: int) -> None:
        """Let the system begin to fetch a window from a local disk, and no more than it."""
        if not hasattr(os, 'posix_fadvise'):
            return
        try:
            descriptor = os.open(self.path(shard), os.O_RDONLY)
        except OSError:
            return  # reading it says why
        try:
            # LitData's chunk: number of samples, where each begins and the last one ends.
            span = os.pread(descriptor, 8, 4 * (1 + number - self._first[shard]))
            first, end = struct.unpack('<II', span)
            os.posix_fadvise(descriptor, first, end - first, os.POSIX_FADV_WILLNEED)
        except (OSError, struct.error):
            pass  # reading it says why
        finally:
            os.close(descriptor)

    def _open(self) -> Any:
        if self._dataset is None or self._pid != os.getpid():
            self._pool = None
            if not self.remote:  # it may have changed since; storage is asked once
                where = f'{self.folder}/{LITDATA_INDEX}'
                check_litdata_index(self._fetch(LITDATA_INDEX), self.index, where)
            self._dataset = require_litdata().StreamingDataset(
                self.folder,
                cache_dir=self.cache_dir,
                storage_options=self._options(),
                max_pre_download=self.max_open_files,  # as many local shards stay mapped
                batch_decode=0,  # one window is asked for, not its neighbors
            )
            self._pid = os.getpid()
        return self._dataset

    def _options(self) -> dict[str, Any] | None:
        if not self.remote:
            return None
        options = dict(self.storage_options)
        if self.folder.startswith('s3://') and 'config' not in options:
            from botocore.config import Config

            options['config'] = Config(
                retries=dict(max_attempts=ATTEMPTS, mode='standard'),
                max_pool_connections=self.threads,
            )
        return options

    def _load_index(self) -> ShardIndex:
        index = ShardIndex.parse(self._fetch(INDEX), f'{self.folder}/{INDEX}')
        check_litdata_index(self._fetch(LITDATA_INDEX), index, f'{self.folder}/{LITDATA_INDEX}')
        return index

    def _fetch(self, name: str) -> bytes:
        """Read the content of one of the two index files."""
        where = f'{self.folder}/{name}'
        if not self.remote:
            path = Path(self.folder, name)
            if not path.is_file():
                raise MissingFileError(
                    where,
                    'an index of shards',
                    note='set data_root in the config or on the command line, or the variable '
                    'MSSDF_DATA',
                )
            return path.read_bytes()
        from litdata.streaming.downloader import get_downloader

        buffer = io.BytesIO()
        try:
            downloader = get_downloader(self.folder, '', [], self._options())
            downloader.download_fileobj(where, buffer)
        except Exception as error:  # the storage client's, the network's
            raise FileNotFoundError(
                f'{where}: expected an index of shards, found {type(error).__name__}: {error}'
            ) from error
        return buffer.getvalue()
