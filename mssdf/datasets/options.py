"""Groups of options of the datasets of windows: ``reading`` and ``index`` of their configs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mssdf.errors import ConfigError
from mssdf.rasters.retries import RetryPolicy

# Keys of former versions, and where they are now.
MOVED = dict(
    window_size='windows.size',
    max_invalid='windows.max_invalid_per_window',
    judge_by='windows.judge_by',
    reference='windows.reference',
    max_failed_share='reading.max_failed_share',
    read_attempts='reading.attempts',
    retry_seconds='reading.retry_seconds',
    max_open_files='reading.max_open_files',
    folder='index.folder',
    cache_dir='index.cache_dir',
)
MOVED_OF_SHARDS = dict(
    MOVED, storage_options='reading.storage_options', storage_threads='reading.storage_threads'
)


def _check_share(max_failed_share: float) -> None:
    if not 0 <= max_failed_share <= 1:
        raise ConfigError('reading.max_failed_share', 'a share from 0 to 1', max_failed_share)


@dataclass(frozen=True)
class ReadingOptions:
    """The attempts and limits of reading rasters; the config's group ``reading``.

    Attributes:
        attempts: number of attempts, 1...10, before a read counts as failed. A file that has failed
            so is tried once at each further read.
        retry_seconds: wait before the second attempt in seconds; it doubles each time.
        max_failed_share: largest share of files, and of reads, that may fail before an error stops
            everything.
        max_open_files: largest number of open files, per worker.

    Raises:
        ValueError: if a value is out of range.
    """

    attempts: int = 3
    retry_seconds: float = 0.5
    max_failed_share: float = 0.05
    max_open_files: int = 64

    def __post_init__(self) -> None:
        RetryPolicy(self.attempts, self.retry_seconds)
        _check_share(self.max_failed_share)
        if self.max_open_files < 1:
            raise ConfigError('reading.max_open_files', 'at least 1', self.max_open_files)


@dataclass(frozen=True)
class IndexOptions:
    """The folders of scenes and of their index; the config's group ``index``.

    Attributes:
        folder: sub-folder of ``data_root`` with the files ``NAME<suffix>``, where scenes are not
            listed.
        cache_dir: folder that the index of usable windows is kept in; None takes ``.mssdf_cache``
            in ``data_root``, or the user's cache folder where that cannot be written; '' keeps
            none.
    """

    folder: str = 'patch'
    cache_dir: str | None = None


@dataclass(frozen=True)
class ShardReadingOptions:
    """The limits of reading shards; the group ``reading`` of a dataset of shards.

    Attributes:
        max_failed_share: largest share of shards, and of reads, that may fail before an error stops
            everything.
        max_open_files: largest number of shards that stay mapped into memory, per worker.
        storage_options: arguments of boto3's client for object storage, such as ``endpoint_url``.
        storage_threads: number of reads from object storage at a time, per worker.
        attempts: without effect, as the group of a dataset of rasters has it.
        retry_seconds: without effect likewise.

    Raises:
        ValueError: if a value is out of range.
    """

    max_failed_share: float = 0.05
    max_open_files: int = 256
    storage_options: Mapping[str, Any] | None = None
    storage_threads: int = 16
    attempts: int | None = None
    retry_seconds: float | None = None

    def __post_init__(self) -> None:
        _check_share(self.max_failed_share)


@dataclass(frozen=True)
class ShardIndexOptions:
    """The folders of shards and of their index; the group ``index`` of a dataset of shards.

    Attributes:
        folder: sub-folder of ``data_root`` with the shards and their index.
        cache_dir: folder that the index of object storage is kept in; None or '' takes LitData's.
    """

    folder: str = 'shards'
    cache_dir: str | None = None
