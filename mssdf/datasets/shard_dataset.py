"""The dataset of windows that were prepared as shards."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.errors import ConfigError
from mssdf.rasters.failures import FailureLog
from mssdf.rasters.windows import WindowOptions
from mssdf.registry import DATASETS
from mssdf.utils.options import check_keys, move_old_keys, parse_options

from .options import MOVED_OF_SHARDS, ShardIndexOptions, ShardReadingOptions
from .sample_index import SampleIndex
from .shards.reader import BrokenShardError, ShardReader
from .window_dataset import WindowDataset


@DATASETS.register_module()
class ShardDataset(WindowDataset):
    """Windows out of shards, for the same transforms and configs as windows out of rasters.

    A config of :class:`~mssdf.datasets.MultiModalRasterDataset` becomes one of this by its
    ``type``. What was decided when the shards were made is taken from them: ``scenes``, the group
    ``windows`` but for its ``size``, ``attempts`` and ``retry_seconds`` of ``reading``, and of a
    modality ``suffix``, ``resampling``, ``nodata``, ``nodata_rule`` and ``mask`` are accepted and
    have no effect.

    A transform of the pipeline gets the dict that
    :class:`~mssdf.datasets.window_dataset.WindowDataset` describes, and ``crs`` and ``transform``
    of the window.

    Args:
        modalities: settings of each modality by name; ``bands`` chooses among those stored (numbers
            from 1), ``dtype='float32'`` hands out floats. The order is that of every sample.
        data_root: folder, or address in object storage (``s3://BUCKET/FOLDER``); '' or None takes
            that of the variable ``MSSDF_DATA``.
        scenes: without effect.
        windows: ``size`` in pixels, if given, must be that of the shards; the rest is without
            effect.
        reading: limits of reading, and options of object storage; the keys of
            :class:`~mssdf.datasets.options.ShardReadingOptions`.
        index: folders of shards and of their index; the keys of
            :class:`~mssdf.datasets.options.ShardIndexOptions`.
        seed: number that, with the epoch and the index, decides everything random about a sample.
        pipeline: transforms, or their configs.
        **kwargs: ``metainfo`` and ``lazy_init`` of
            :class:`~mssdf.datasets.window_dataset.WindowDataset`, and keys of former versions
            (:data:`MOVED_KEYS`), which are named in the log.

    Raises:
        KeyError: if a group has no such key.
        ValueError: if a value is out of range.
    """

    MOVED_KEYS = MOVED_OF_SHARDS

    def __init__(
        self,
        *,
        modalities: Mapping[str, Mapping[str, Any] | None],
        data_root: str | os.PathLike | None = '',
        scenes: Any = None,
        windows: Mapping[str, Any] | None = None,
        reading: Mapping[str, Any] | None = None,
        index: Mapping[str, Any] | None = None,
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        given = dict(kwargs, windows=windows, reading=reading, index=index)
        given = move_old_keys(given, self.MOVED_KEYS)
        groups = {name: given.pop(name) for name in ('windows', 'reading', 'index')}
        super().__init__(
            modalities=modalities, data_root=data_root, seed=seed, pipeline=pipeline, **given
        )

        self.windows = check_keys(WindowOptions, 'windows', groups['windows'])
        self.reading = parse_options(ShardReadingOptions, 'reading', groups['reading'])
        self.index = parse_options(ShardIndexOptions, 'index', groups['index'])
        self._ahead: dict[int, Future[dict[str, Any]]] = {}
        self._ignored = self._find_ignored(scenes)
        if not self.lazy_init:
            self.full_init()

    def _find_ignored(self, scenes: Any) -> list[str]:
        """Name the options that were decided when the shards were made."""
        given = {f'windows.{key}': value for key, value in self.windows.items() if key != 'size'}
        given |= {
            'scenes': scenes,
            'reading.attempts': self.reading.attempts,
            'reading.retry_seconds': self.reading.retry_seconds,
        }
        return sorted(key for key, value in given.items() if value is not None)

    @property
    def window_size(self) -> int | None:
        """Side of a window in pixels, as the config has it; None where it has none."""
        return self.windows.get('size')

    def full_init(self) -> None:
        """Read the index and check it against the config; once.

        Raises:
            FileNotFoundError: when there is no index.
            ImportError: when LitData is not installed.
            ValueError: when the shards lack a modality or a band, or their windows another size.
        """
        if self._fully_initialized:
            return
        self._reader = ShardReader(
            self._place(),
            cache_dir=self.index.cache_dir or None,
            storage_options=self.reading.storage_options,
            max_open_files=self.reading.max_open_files,
            threads=self.reading.storage_threads,
        )

        index = self._reader.index
        self._check_window(index.window)
        self._bands: dict[str, NDArray[np.int64] | None] = {}
        self.num_bands: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        for name, settings in self.modalities.items():
            if name not in index.bands:
                raise ConfigError(
                    f'modalities.{name}',
                    f'one of those in {self._reader.folder}, {list(index.bands)}',
                    name,
                )
            stored = tuple(range(1, index.bands[name] + 1))
            bands = settings.bands or stored
            if not set(bands) <= set(stored):
                raise ConfigError(
                    f'modalities.{name}.bands', f'numbers from 1 to {stored[-1]}', list(bands)
                )
            self._bands[name] = None if bands == stored else np.array(bands) - 1
            self.num_bands[name] = len(bands)
            self.dtypes[name] = settings.dtype or index.dtypes[name]

        self._ends = np.cumsum(index.samples)
        paths = [self._reader.path(shard) for shard in range(len(index.files))]
        self._failures = FailureLog(paths, self.reading.max_failed_share)
        self._fully_initialized = True
        print_log(
            f'{self._ends[-1]} windows in {len(paths)} shards of {self._reader.folder}'
            + (f'; decided there, without effect here: {self._ignored}' if self._ignored else ''),
            logger='current',
        )

    @property
    def chunk_sizes(self) -> NDArray[np.int64]:
        """Number of windows of each shard, in the order of the indices."""
        self.full_init()
        return np.diff(self._ends, prepend=0)

    def __len__(self) -> int:
        self.full_init()
        return int(self._ends[-1])

    def __getitems__(self, indices: Sequence[int | SampleIndex]) -> list[Any]:
        """Read the samples of a batch, which a data loader asks for at once.

        Their windows are asked for before the first one is waited for: from object storage, whose
        answers take long to begin, by several threads; from a disk by advice to the system.
        """
        self.full_init()
        try:
            for index in indices:
                chosen = self._check_index(index[0] if isinstance(index, tuple) else index)
                if self._reader.remote:
                    self._ahead[chosen] = self._reader.read_ahead(self._shard_of(chosen), chosen)
                else:
                    self._reader.advise(self._shard_of(chosen), chosen)
            return [self[index] for index in indices]
        finally:
            for future in self._ahead.values():
                future.cancel()
            self._ahead.clear()

    def read_window(self, index: int) -> dict[str, Any] | None:
        """Read images and validity of a window, without the pipeline.

        Returns:
            The pipeline's input without ``rng``; None if the shard is unreadable, which is counted,
            or the window has none of the modalities.
        """
        self.full_init()
        self._set_up_process()
        return self._read(self._check_index(index))

    def _place(self) -> str:
        if '://' in self.data_root:
            return '/'.join(part.strip('/') for part in (self.data_root, self.index.folder) if part)
        return os.path.join(self.data_root, self.index.folder)

    def _check_window(self, stored: tuple[int, int]) -> None:
        if self.window_size is not None and stored != (self.window_size, self.window_size):
            raise ConfigError(
                'windows.size',
                f'{stored[0]} × {stored[1]} as in the shards of {self._reader.folder}',
                self.window_size,
            )

    def _shard_of(self, chosen: int) -> int:
        return int(np.searchsorted(self._ends, chosen, side='right'))

    def _choose(self, index: int, rng: np.random.Generator, first: bool) -> int:
        return index if first else int(rng.integers(len(self)))

    def _name(self, chosen: int) -> str:
        return f'window {chosen} of {self._reader.folder}'

    def _read(self, chosen: int) -> dict[str, Any] | None:
        shard, ahead = self._shard_of(chosen), self._ahead.pop(chosen, None)
        try:
            self._failures.count_read()
            stored = ahead.result() if ahead else self._reader.read(shard, chosen)
        except BrokenShardError as error:
            self._failures.note(self._reader.path(shard), error)
            return None

        images: dict[str, NDArray] = {}
        valid: dict[str, NDArray[np.bool_]] = {}
        for name, bands in self._bands.items():
            if name in stored['images']:
                planes = stored['images'][name]
                planes = planes if bands is None else planes[bands]
                # A copy: it may be written to, and the mapped file may be closed.
                images[name] = np.array(planes, dtype=self.dtypes[name])
                valid[name] = stored['valid'][name]
            else:  # a batch has all modalities of the config
                size = self._reader.index.window
                images[name] = np.zeros((self.num_bands[name], *size), dtype=self.dtypes[name])
                valid[name] = np.zeros(size, dtype=bool)

        if not any(name in stored['images'] for name in self._bands):
            return None
        files = {name: stored['files'][name] for name in self._bands if name in stored['files']}
        kept = {key: stored[key] for key in ('scene', 'window', 'crs', 'transform')}
        return dict(images=images, valid=valid, files=files, **kept)
