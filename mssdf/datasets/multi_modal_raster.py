"""The dataset of windows over co-registered rasters."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.distributed import main_process_first
from mssdf.errors import ConfigError, Words
from mssdf.rasters.band_source import BandSource
from mssdf.rasters.failures import FailureLog
from mssdf.rasters.fill_values import count_fills, describe_fills
from mssdf.rasters.formats import check_units, common_dtype, converted_units, differing_types, some
from mssdf.rasters.index_cache import IndexCache
from mssdf.rasters.indexed_scene import IndexedScene
from mssdf.rasters.raster_reader import RasterReader
from mssdf.rasters.read_errors import UnreadableFileError
from mssdf.rasters.resample import read_on_grid
from mssdf.rasters.retries import RetryPolicy
from mssdf.rasters.scene_index import build_scenes
from mssdf.rasters.scenes import SceneFiles, list_scenes, require_folder, scan_folder
from mssdf.rasters.windows import WindowOptions, grid_shares
from mssdf.registry import DATASETS
from mssdf.utils.options import move_old_keys, parse_options

from .options import MOVED, IndexOptions, ReadingOptions
from .window_dataset import MAX_DRAWS, WindowDataset

Window = tuple[int, int, int, int]


@DATASETS.register_module()
class MultiModalRasterDataset(WindowDataset):
    """Windows of scenes, each seen by up to M modalities on one pixel grid.

    Files are read by window. A modality of another resolution or offset is resampled to the grid
    of the scene's reference modality, nodata left out. A modality that a scene lacks, or that is
    mostly invalid in a window, is zeros with a validity that is false throughout.

    A transform of the pipeline gets the dict that
    :class:`~mssdf.datasets.window_dataset.WindowDataset` describes.

    Args:
        modalities: settings of each modality by name; see
            :class:`~mssdf.rasters.scenes.ModalitySettings`. The order is that of every sample.
        data_root: folder of the data; '' or None takes that of the variable ``MSSDF_DATA``.
        scenes: None looks for files ``NAME<suffix>`` in a folder (see ``index``). Else a list of
            ``dict(name=…, rgb='a.tif', dsm=dict(path='b.tif', bands=[1]))``, or the path of a JSON,
            YAML or CSV file of that content.
        windows: places of windows and the condition of their use; the keys of
            :class:`~mssdf.rasters.windows.WindowOptions`.
        reading: attempts and limits of reading; the keys of
            :class:`~mssdf.datasets.options.ReadingOptions`.
        index: folders of scenes and of their index; the keys of
            :class:`~mssdf.datasets.options.IndexOptions`.
        seed: number that, with the epoch and the index, decides everything random about a sample.
        pipeline: transforms, or their configs.
        **kwargs: ``metainfo`` and ``lazy_init`` of
            :class:`~mssdf.datasets.window_dataset.WindowDataset`, and keys of former versions
            (:data:`MOVED_KEYS`), which are named in the log.

    Raises:
        KeyError: if a group has no such key.
        ValueError: if a value is out of range or does not go with another one.
    """

    MOVED_KEYS = MOVED

    def __init__(
        self,
        *,
        modalities: Mapping[str, Mapping[str, Any] | None],
        data_root: str | os.PathLike | None = '',
        scenes: Sequence[Mapping[str, Any]] | str | os.PathLike | None = None,
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

        self.windows = self._parse_windows(groups['windows'])
        self.reading = parse_options(ReadingOptions, 'reading', groups['reading'])
        self.index = parse_options(IndexOptions, 'index', groups['index'])
        self.scenes: list[IndexedScene] = []
        self._listed = scenes
        retries = RetryPolicy(
            self.reading.attempts, self.reading.retry_seconds, self._note_recovery
        )
        self._reader = RasterReader(self.reading.max_open_files, retries)
        if not self.lazy_init:
            self.full_init()

    def _parse_windows(self, config: Mapping[str, Any] | None) -> WindowOptions:
        """Check the group ``windows``; the first modality is the reference unless one is named."""
        windows = parse_options(WindowOptions, 'windows', config)
        names = list(self.modalities)
        if windows.reference is not None and windows.reference not in names:
            raise ConfigError('windows.reference', f'one of {names}', windows.reference)
        return replace(windows, reference=windows.reference or names[0])

    # Indexing

    def full_init(self) -> None:
        """Find the scenes, check their grids and index their usable windows; once.

        In distributed training the first process goes ahead, the others take what it has kept.

        Raises:
            FileNotFoundError: when the data are not where they should be.
            ValueError: when a file does not fit: bands, CRS, extent.
            UnreadableDataError: when too many files cannot be read.
        """
        if self._fully_initialized:
            return
        found = self._find_scenes()
        with main_process_first():
            self._load(found)
        self._fully_initialized = True

    def _find_scenes(self) -> list[SceneFiles]:
        if self._listed is None:
            return scan_folder(self.data_root, self.index.folder, self.modalities)
        if self.data_root:
            require_folder(self.data_root, 'the files of the listed scenes')
        return list_scenes(self._listed, self.data_root, self.modalities)

    def _load(self, found: list[SceneFiles]) -> None:
        paths = dict.fromkeys(file.path for scene in found for file in scene.files.values())
        self._failures = FailureLog(list(paths), self.reading.max_failed_share)
        place = os.path.abspath(self.data_root or '.')
        described = repr((place, self.index.folder, self.windows, self.modalities))
        cache = IndexCache(self._cache_folder(), described)

        scenes, unusable = [], []
        built = build_scenes(found, self.modalities, self.windows, cache, self._reader.retries)
        for scene in built:
            if isinstance(scene, UnreadableFileError):
                self._failures.note(scene.path, scene.reason, read=False)
            elif len(scene.positions):
                scenes.append(scene)
            else:
                unusable.append(scene)
        self._check_usable(len(found), scenes, unusable, next(iter(paths), ''))

        self.scenes = scenes
        self._find_formats()
        self._make_windows()
        dropped = sum(scene.dropped for scene in scenes)
        print_log(
            f'{len(scenes)} of {len(found)} scenes with usable windows, '
            f'{self._count_windows()} windows per epoch'
            + ('' if self.windows.random else f', {dropped} dropped as mostly invalid'),
            logger='current',
        )

    def _check_usable(
        self,
        found: int,
        scenes: Sequence[IndexedScene],
        unusable: Sequence[IndexedScene],
        first: str,
    ) -> None:
        """Refuse data without a usable window, and name the scenes that are left out."""
        limit = f'windows.max_invalid_per_window={self.windows.max_invalid_per_window:.0%}'
        if not scenes:
            raise ConfigError(
                'windows',
                f'a window of {self.windows.size} pixels with at most {limit} invalid pixels',
                Words(
                    f'none in {found} scene(s) ({len(unusable)} without one; first file: {first})'
                ),
            )
        if unusable:
            files = [scene.sources[scene.reference].path for scene in unusable]
            print_log(
                f'{len(unusable)} of {found} scene(s) left out, no window of theirs has at most '
                f'{limit} invalid pixels: ' + some(files),
                logger='current',
                level=logging.WARNING,
            )

    def _cache_folder(self) -> str | None:
        """Choose the folder of the index; None keeps none."""
        if self.index.cache_dir is not None:
            return self.index.cache_dir or None
        if self.data_root and os.access(self.data_root, os.W_OK):
            return str(Path(self.data_root, '.mssdf_cache'))
        home = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
        return os.path.expanduser(os.path.join(home, 'mssdf'))

    def _find_formats(self) -> None:
        """Find one band count and one type per modality, so that samples make batches."""
        self.num_bands: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        for modality, settings in self.modalities.items():
            sources = [s.sources[modality] for s in self.scenes if modality in s.sources]
            if not sources:
                if settings.bands is None:
                    raise ConfigError(
                        f'modalities.{modality}',
                        'a file in some scene or its bands in the config',
                        Words('neither'),
                    )
                print_log(f'no scene has the modality {modality!r}', logger='current', level=30)
                self.num_bands[modality], self.dtypes[modality] = len(settings.bands), 'float32'
                continue

            first = sources[0]
            for source in sources:
                if len(source.bands) != len(first.bands):
                    raise ValueError(
                        f'{source.path}: expected {len(first.bands)} band(s) of modality '
                        f'{modality!r} as in {first.path}, found {len(source.bands)}'
                    )

            where = f'modalities.{modality}'
            check_units(where, f'{where}.unit', sources)
            for said, level in (
                (differing_types((s.dtype, s.path) for s in sources), logging.WARNING),
                (converted_units(sources), logging.INFO),
            ):
                if said is not None:
                    print_log(f'{where}: {said}', logger='current', level=level)

            self._name_fills(modality)
            self.num_bands[modality] = len(first.bands)
            self.dtypes[modality] = common_dtype(source.dtype for source in sources)

    def _name_fills(self, modality: str) -> None:
        """Name the files of a modality in which fill values stand as heights."""
        found = {
            scene.sources[modality].path: scene.fills[modality]
            for scene in self.scenes
            if scene.fills.get(modality)
        }
        said = describe_fills(found, 'nodata=')
        if said is None:
            return
        print_log(f'modalities.{modality}: {said}', logger='current', level=logging.WARNING)
        for path in found:
            self._failures.note_values(path, None)

    def _make_windows(self) -> None:
        """Lay all windows out in flat arrays, which workers share with their parent."""
        counts = [len(scene.positions) for scene in self.scenes]
        self._scene_of = np.repeat(np.arange(len(self.scenes), dtype=np.int32), counts)
        self._positions = np.concatenate([scene.positions for scene in self.scenes])
        areas = np.array([np.prod(scene.size, dtype=np.float64) for scene in self.scenes])
        self._area_below = np.cumsum(areas / areas.sum())

    # Access

    def __len__(self) -> int:
        self.full_init()
        return self._count_windows()

    def _count_windows(self) -> int:
        return self.windows.per_epoch or len(self._positions)

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Look up scene, window and files of a sample of the grid, without reading it."""
        self.full_init()
        if self.windows.random:
            raise ConfigError(
                'windows.mode',
                "'grid', as a random window is known only once it is drawn",
                'random',
            )
        scene, window = self._window(self._check_index(index))
        return dict(
            scene=scene.name, window=window, files={m: s.path for m, s in scene.sources.items()}
        )

    def _choose(
        self, index: int, rng: np.random.Generator, first: bool
    ) -> tuple[IndexedScene, Window]:
        if self.windows.random:
            return self._draw_window(rng)
        # A sample that cannot be had is replaced by one that its own generator draws.
        return self._window(index if first else int(rng.integers(len(self))))

    def _name(self, chosen: tuple[IndexedScene, Window]) -> str:
        scene, window = chosen
        return f'{scene.name} at {window} of {scene.sources[scene.reference].path}'

    def read_window(self, index: int) -> dict[str, Any] | None:
        """Read images and validity of a sample of the grid, without the pipeline.

        Args:
            index: number of the sample.

        Returns:
            The pipeline's input without ``rng``; None if a file is unreadable, which is counted.
        """
        self.full_init()
        self._set_up_process()
        return self._read(self._window(self._check_index(index)))

    def windows_of(self, scene: int) -> list[Window]:
        """List the usable windows of a scene's grid (in random mode, half overlapping)."""
        side = self.windows.size
        return [(int(r), int(c), side, side) for r, c in self.scenes[scene].positions]

    def read_modality(
        self, scene: int, modality: str, window: Window
    ) -> tuple[NDArray, NDArray[np.bool_]] | None:
        """Read values (C, H, W) and validity (H, W) of a modality in a window.

        Args:
            scene: number of the scene.
            modality: name of the modality, which the scene has.
            window: row, column, height, width in reference pixels.

        Returns:
            Values and validity; None if too little of them is valid.

        Raises:
            OSError: if the file is unreadable.
        """
        return self._read_modality(self.scenes[scene], modality, window)

    def note_failure(self, path: str, reason: object) -> None:
        """Name and count a file that could not be read.

        Args:
            path: path of the file.
            reason: cause of the failure.

        Raises:
            UnreadableDataError: if more than ``reading.max_failed_share`` have failed.
        """
        self._failures.note(path, reason, read=False)

    def _window(self, index: int) -> tuple[IndexedScene, Window]:
        row, col = map(int, self._positions[index])
        side = self.windows.size
        return self.scenes[int(self._scene_of[index])], (row, col, side, side)

    def _draw_window(self, rng: np.random.Generator) -> tuple[IndexedScene, Window]:
        """Draw a scene in proportion to area, then a position that its maps do not rule out."""
        side = self.windows.size
        number = int(np.searchsorted(self._area_below, rng.random(), side='right'))
        scene = self.scenes[min(number, len(self.scenes) - 1)]

        # a window that the coarse maps pass may still turn out unusable when its pixels are read
        for _ in range(MAX_DRAWS):
            row, col = (int(rng.integers(max(1, size - side + 1))) for size in scene.size)
            if any(self._may_be_usable(scene, m, row, col) for m in scene.validity):
                break
        return scene, (row, col, side, side)

    def _may_be_usable(self, scene: IndexedScene, modality: str, row: int, col: int) -> bool:
        """Ask the coarse map of a modality whether a window has enough of it."""
        validity, grid = scene.validity[modality], scene.grids[modality]
        if validity.full and grid.aligned and modality == scene.reference:
            return True
        shares = grid_shares(validity, grid, np.array([row]), np.array([col]), self.windows.size)
        return bool(self.windows.accept(shares).any())

    # Reading

    def _read(self, chosen: tuple[IndexedScene, Window]) -> dict[str, Any] | None:
        """Read all modalities of a window; None when a file fails or nothing usable is there."""
        scene, window = chosen
        images: dict[str, NDArray] = {}
        valid: dict[str, NDArray[np.bool_]] = {}
        used = False
        for modality in self.modalities:
            read = None
            if modality in scene.sources:
                try:
                    self._failures.count_read()
                    read = self._read_modality(scene, modality, window)
                except UnreadableFileError as error:
                    self._failures.note(error.path, error.reason)
                    return None

            if read is not None:
                images[modality], valid[modality] = read
                used |= self.windows.judges(modality, scene.reference)
            else:  # a batch has all modalities of the config
                shape = (self.num_bands[modality], *window[2:])
                images[modality] = np.zeros(shape, dtype=self.dtypes[modality])
                valid[modality] = np.zeros(window[2:], dtype=bool)

        if not used:
            return None
        return dict(
            images=images,
            valid=valid,
            scene=scene.name,
            window=window,
            files={m: source.path for m, source in scene.sources.items()},
        )

    def _read_modality(
        self, scene: IndexedScene, modality: str, window: Window
    ) -> tuple[NDArray, NDArray[np.bool_]] | None:
        """Read values (C, H, W) and validity (H, W); None if too little of them is valid."""
        source = scene.sources[modality]
        values, valid = self._reader.read(
            source.path,
            lambda raster: read_on_grid(
                raster,
                source,
                scene.grids[modality],
                window,
                self.modalities[modality].resampling,
            ),
            expected=source.header,
            # What has failed for good would wait again at each of its windows.
            retry=not self._failures.has_failed(source.path),
        )
        if source.may_be_heights:
            self._look_for_fills(modality, source, values, valid)
        if not self.windows.accept(np.count_nonzero(valid) / valid.size):
            return None
        return values.astype(self.dtypes[modality], copy=False), valid

    def _look_for_fills(
        self, modality: str, source: BandSource, values: NDArray, valid: NDArray[np.bool_]
    ) -> None:
        """Name a file of which a window shows what the look at the start has missed."""
        scale = 1.0 if source.scale is None else source.scale[0]
        offset = 0.0 if source.offset is None else source.offset[0]
        counts = count_fills(values[0], valid, scale, offset)
        if counts:
            total = int(np.count_nonzero(valid))
            shares = {fill: count / total for fill, count in counts.items()}
            said = describe_fills({f'a window of {source.path}': shares}, 'nodata=')
            self._failures.note_values(source.path, f'modalities.{modality}: {said}')

    def _note_recovery(self, path: str, attempt: int, reason: str) -> None:
        self._failures.note_recovery(path, attempt, reason)
