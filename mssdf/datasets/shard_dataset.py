"""The dataset of windows that were prepared as shards."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.rasters.failures import FailureLog
from mssdf.rasters.scenes import ModalitySettings, resolve_data_root
from mssdf.registry import DATASETS

from .sample_index import SampleIndex
from .shards.reader import BrokenShardError, ShardReader
from .window_dataset import WindowDataset

DECIDED_OF_MODALITY = ('suffix', 'resampling', 'nodata', 'nodata_rule', 'mask')


@DATASETS.register_module()
class ShardDataset(WindowDataset):
    """Windows out of shards, for the same transforms and configs as windows out of rasters.

    A config of :class:`~mssdf.datasets.MultiModalRasterDataset` becomes one of this by its
    ``type``. What was decided when the shards were made is taken from them: the keys ``scenes``,
    ``reference``, ``windows``, ``max_invalid`` and ``judge_by``, and of a modality ``suffix``,
    ``resampling``, ``nodata``, ``nodata_rule`` and ``mask`` are accepted, checked for their form
    where the raster dataset does so, and otherwise have no effect.

    What a transform of the pipeline gets: :class:`~mssdf.datasets.window_dataset.WindowDataset`,
    and ``crs`` and ``transform`` of the window.

    Args:
        modalities: name to settings; ``bands`` chooses among those stored (numbers from 1),
            ``dtype='float32'`` hands out floats. The order is that of every sample.
        data_root: folder, or address in object storage (``s3://BUCKET/FOLDER``); when empty, that
            of the variable ``MSSDF_DATA``.
        folder: sub-folder of the shards and their index.
        window_size: None takes the shards'; a number must be theirs.
        max_failed_share: of shards, and of reads, that may fail before an error stops it all.
        cache_dir: where the index of object storage is kept; None or '' takes LitData's.
        storage_options: for object storage: arguments of boto3's client, such as ``endpoint_url``.
        max_open_files: shards that stay mapped into memory, per worker.
        storage_threads: reads from object storage at a time, per worker: those of a batch.
        seed: with the epoch and the index it decides everything random about a sample.
        pipeline: transforms.
        metainfo: added to the dataset's meta information.
        lazy_init: put reading the index off until the first use.
        scenes, reference, windows, max_invalid, judge_by: without effect, see above.
    """

    def __init__(
        self,
        *,
        modalities: Mapping[str, Mapping[str, Any] | None],
        data_root: str | os.PathLike | None = '',
        folder: str = 'shards',
        window_size: int | None = None,
        max_failed_share: float = 0.05,
        cache_dir: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        max_open_files: int = 256,
        storage_threads: int = 16,
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping[str, Any] | None = None,
        lazy_init: bool = False,
        scenes: Any = None,
        reference: Any = None,
        windows: Any = None,
        max_invalid: Any = None,
        judge_by: Any = None,
    ) -> None:
        if not modalities:
            raise ValueError('modalities: expected at least one, found none')
        if not 0 <= max_failed_share <= 1:
            raise ValueError(
                f'max_failed_share: expected a share from 0 to 1, found {max_failed_share}'
            )
        super().__init__(
            seed=seed,
            pipeline=pipeline,
            metainfo={'modalities': tuple(modalities), **dict(metainfo or {})},
        )
        self.data_root = resolve_data_root(data_root)
        self.folder = folder
        self.modalities = {
            name: ModalitySettings.from_config(name, config) for name, config in modalities.items()
        }
        self.window_size = window_size
        self.max_failed_share = max_failed_share
        self._reader_options = dict(
            cache_dir=cache_dir or None,
            storage_options=dict(storage_options or {}),
            max_open_files=max_open_files,
            threads=storage_threads,
        )
        self._ahead: dict[int, Future[dict[str, Any]]] = {}
        decided = dict(
            scenes=scenes,
            reference=reference,
            windows=windows,
            max_invalid=max_invalid,
            judge_by=judge_by,
        )
        self._ignored = [key for key, value in decided.items() if value is not None]
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the index and hold it against the config; once.

        Raises:
            FileNotFoundError: when there is no index.
            ImportError: when LitData is not installed.
            ValueError: when the shards lack a modality or a band, or their windows another size.
        """
        if self._fully_initialized:
            return
        self._reader = ShardReader(self._place(), **self._reader_options)  # type: ignore[arg-type]
        index = self._reader.index
        self._check_window(index.window)
        self._bands: dict[str, NDArray[np.int64] | None] = {}
        self.num_bands: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        for name, settings in self.modalities.items():
            if name not in index.bands:
                raise ValueError(
                    f'modalities.{name}: expected one of those in {self._reader.folder}, '
                    f'{list(index.bands)}'
                )
            stored = tuple(range(1, index.bands[name] + 1))
            bands = settings.bands or stored
            if not set(bands) <= set(stored):
                raise ValueError(
                    f'modalities.{name}.bands: expected numbers from 1 to {stored[-1]}, found '
                    f'{list(bands)}'
                )
            self._bands[name] = None if bands == stored else np.array(bands) - 1
            self.num_bands[name] = len(bands)
            self.dtypes[name] = settings.dtype or index.dtypes[name]
        self._ends = np.cumsum(index.samples)
        paths = [self._reader.path(shard) for shard in range(len(index.files))]
        self._failures = FailureLog(paths, self.max_failed_share)
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
        """The samples of a batch, which a data loader asks for at once.

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
        """Images and validity of a window, without the pipeline.

        Returns:
            The pipeline's input less ``rng``; None when the shard is unreadable (which counts), or
            the window has none of the modalities.
        """
        self.full_init()
        self._set_up_process()
        return self._read(self._check_index(index))

    def _place(self) -> str:
        if '://' in self.data_root:
            return '/'.join(part.strip('/') for part in (self.data_root, self.folder) if part)
        return os.path.join(self.data_root, self.folder)

    def _check_window(self, stored: tuple[int, int]) -> None:
        if self.window_size is not None and stored != (self.window_size, self.window_size):
            raise ValueError(
                f'window_size: expected {stored[0]} × {stored[1]} as in the shards of '
                f'{self._reader.folder}, found {self.window_size}'
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
            else:
                size = self._reader.index.window
                images[name] = np.zeros((self.num_bands[name], *size), dtype=self.dtypes[name])
                valid[name] = np.zeros(size, dtype=bool)
        if not any(name in stored['images'] for name in self._bands):
            return None
        files = {name: stored['files'][name] for name in self._bands if name in stored['files']}
        kept = {key: stored[key] for key in ('scene', 'window', 'crs', 'transform')}
        return dict(images=images, valid=valid, files=files, **kept)
