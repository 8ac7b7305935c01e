"""The dataset of windows over co-registered rasters."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.distributed import main_process_first
from mssdf.rasters.failures import FailureLog
from mssdf.rasters.fill_values import count_fills, describe_fills
from mssdf.rasters.formats import check_units, common_dtype, converted_units, differing_types, some
from mssdf.rasters.index_cache import IndexCache
from mssdf.rasters.indexed_scene import IndexedScene, IndexSettings, usable
from mssdf.rasters.patient_reader import PatientReader
from mssdf.rasters.raster import BandSource
from mssdf.rasters.read_errors import Patience, UnreadableFileError
from mssdf.rasters.resample import read_on_grid
from mssdf.rasters.scene_index import build_scenes
from mssdf.rasters.scenes import (
    ModalitySettings,
    SceneFiles,
    list_scenes,
    require_folder,
    resolve_data_root,
    scan_folder,
)
from mssdf.rasters.windows import WindowSettings, grid_shares
from mssdf.registry import DATASETS

from .window_dataset import MAX_DRAWS, WindowDataset

JUDGES = ('reference', 'any')

Window = tuple[int, int, int, int]


@DATASETS.register_module()
class MultiModalRasterDataset(WindowDataset):
    """Windows of scenes, each seen by up to M modalities on one pixel grid.

    Files are read by window. A modality of another resolution or offset is resampled to the grid
    of the scene's reference modality, nodata left out. A modality that a scene lacks, or that is
    mostly invalid in a window, is zeros with a validity that is false throughout.

    What a transform of the pipeline gets: :class:`~mssdf.datasets.window_dataset.WindowDataset`.

    Args:
        data_root: folder of the data; when empty, that of the variable ``MSSDF_DATA``.
        modalities: name to settings (:class:`~mssdf.rasters.scenes.ModalitySettings`); the
            order is that of every sample.
        scenes: None scans ``data_root/folder`` for the HR-Pairs layout ``NAME<suffix>``. Else a
            list of ``dict(name=…, rgb='a.tif', dsm=dict(path='b.tif', bands=[1]))``, or the path
            of a JSON, YAML or CSV file of that content.
        folder: sub-folder of the HR-Pairs layout.
        reference: the modality whose grid the windows lie on; None takes the first. A scene
            without it falls back to its first.
        window_size: side of a window in reference pixels.
        windows: ``dict(mode='grid', stride=None)`` covers each raster wholly, the last row and
            column shifted inwards; ``dict(mode='random', per_epoch=N)`` draws positions anew in
            each epoch, scenes in proportion to their area.
        max_invalid: the largest share of invalid pixels of a usable window. A modality with more
            counts as missing there.
        judge_by: ``'reference'`` asks this of the reference modality; ``'any'`` keeps a window as
            long as one modality has it.
        max_failed_share: of files, and of reads, that may fail before an error stops it all.
        read_attempts: how often a read that fails is tried, from 1 (never again) to 10, before it
            counts as failed. A file that has failed so is tried once each time from then on.
        retry_seconds: wait before the second attempt; it doubles each time.
        cache_dir: where the index of usable windows is kept. None: ``.mssdf_cache`` in
            ``data_root``, or the user's cache folder where that cannot be written. '' keeps none.
        max_open_files: bound on open files, per worker.
        seed: with the epoch and the index it decides everything random about a sample.
        pipeline: transforms.
        metainfo: added to the dataset's meta information.
        lazy_init: put indexing off until the first use.
    """

    def __init__(
        self,
        *,
        modalities: Mapping[str, Mapping[str, Any] | None],
        data_root: str | os.PathLike | None = '',
        scenes: Sequence[Mapping[str, Any]] | str | os.PathLike | None = None,
        folder: str = 'patch',
        reference: str | None = None,
        window_size: int = 320,
        windows: Mapping[str, Any] | None = None,
        max_invalid: float = 0.5,
        judge_by: str = 'reference',
        max_failed_share: float = 0.05,
        read_attempts: int = 3,
        retry_seconds: float = 0.5,
        cache_dir: str | None = None,
        max_open_files: int = 64,
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping[str, Any] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if not modalities:
            raise ValueError('modalities: expected at least one, found none')
        if reference is not None and reference not in modalities:
            raise ValueError(f'reference: expected one of {list(modalities)}, found {reference!r}')
        if window_size < 1:
            raise ValueError(f'window_size: expected at least 1, found {window_size}')
        if judge_by not in JUDGES:
            raise ValueError(f'judge_by: expected one of {JUDGES}, found {judge_by!r}')
        for key, share in (('max_invalid', max_invalid), ('max_failed_share', max_failed_share)):
            if not 0 <= share <= 1:
                raise ValueError(f'{key}: expected a share from 0 to 1, found {share}')
        super().__init__(
            seed=seed,
            pipeline=pipeline,
            metainfo={'modalities': tuple(modalities), **dict(metainfo or {})},
        )
        self.data_root = resolve_data_root(data_root)
        self.modalities = {
            name: ModalitySettings.from_config(name, config) for name, config in modalities.items()
        }
        self.folder = folder
        self.settings = IndexSettings(
            window_size=window_size,
            windows=WindowSettings.from_config(dict(windows or {}), window_size),
            max_invalid=max_invalid,
            judge_by=judge_by,
            reference=reference or next(iter(self.modalities)),
        )
        self.max_failed_share = max_failed_share
        self.cache_dir = cache_dir
        self.scenes: list[IndexedScene] = []
        self._listed = scenes
        self._patience = Patience(read_attempts, retry_seconds)
        self._reader = PatientReader(max_open_files, self._patience, self._note_recovery)
        if not lazy_init:
            self.full_init()

    @property
    def random_windows(self) -> bool:
        """Tell whether positions are drawn rather than taken from a grid."""
        return self.settings.windows.mode == 'random'

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
            return scan_folder(self.data_root, self.folder, self.modalities)
        if self.data_root:
            require_folder(self.data_root, 'the files of the listed scenes')
        return list_scenes(self._listed, self.data_root, self.modalities)

    def _load(self, found: list[SceneFiles]) -> None:
        paths = dict.fromkeys(file.path for scene in found for file in scene.files.values())
        self._failures = FailureLog(list(paths), self.max_failed_share)
        place = os.path.abspath(self.data_root or '.')
        cache = IndexCache(
            self._cache_folder(), repr((place, self.folder, self.settings, self.modalities))
        )
        scenes, unusable = [], []
        built = build_scenes(
            found, self.modalities, self.settings, cache, self._patience, self._note_recovery
        )
        for scene in built:
            if isinstance(scene, UnreadableFileError):
                self._failures.note(scene.path, scene.reason, read=False)
            elif len(scene.positions):
                scenes.append(scene)
            else:
                unusable.append(scene)
        self.scenes = scenes
        if not scenes:
            raise ValueError(
                f'none of the {len(found)} scene(s) has a window of {self.settings.window_size} '
                f'pixels with at most max_invalid={self.settings.max_invalid:.0%} invalid pixels '
                f'({len(unusable)} without one; first file: {next(iter(paths))})'
            )
        if unusable:
            files = [scene.sources[scene.reference].path for scene in unusable]
            print_log(
                f'{len(unusable)} of {len(found)} scene(s) left out, no window of theirs has at '
                f'most max_invalid={self.settings.max_invalid:.0%} invalid pixels: ' + some(files),
                logger='current',
                level=logging.WARNING,
            )
        self._find_formats()
        self._make_windows()
        dropped = sum(scene.dropped for scene in scenes)
        print_log(
            f'{len(scenes)} of {len(found)} scenes with usable windows, '
            f'{self._count_windows()} windows per epoch'
            + ('' if self.random_windows else f', {dropped} dropped as mostly invalid'),
            logger='current',
        )

    def _cache_folder(self) -> str | None:
        if self.cache_dir is not None:
            return self.cache_dir or None
        if self.data_root and os.access(self.data_root, os.W_OK):
            return str(Path(self.data_root, '.mssdf_cache'))
        home = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
        return os.path.expanduser(os.path.join(home, 'mssdf'))

    def _find_formats(self) -> None:
        """One band count and one type per modality, so that samples make batches."""
        self.num_bands: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        for modality, settings in self.modalities.items():
            sources = [s.sources[modality] for s in self.scenes if modality in s.sources]
            if not sources:
                if settings.bands is None:
                    raise ValueError(
                        f'modalities.{modality}: no scene has it; expected its bands in the '
                        f'config at least, found None'
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
        """Flat arrays: workers share them with their parent, where objects would be copied."""
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
        return self.settings.windows.per_epoch or len(self._positions)

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Scene, window and files of a sample of the grid, without reading it."""
        self.full_init()
        if self.random_windows:
            raise ValueError("windows.mode='random': a window is known only once it is drawn")
        scene, window = self._window(self._check_index(index))
        return dict(
            scene=scene.name, window=window, files={m: s.path for m, s in scene.sources.items()}
        )

    def _choose(
        self, index: int, rng: np.random.Generator, first: bool
    ) -> tuple[IndexedScene, Window]:
        if self.random_windows:
            return self._draw_window(rng)
        # A sample that cannot be had is replaced by one that its own generator draws.
        return self._window(index if first else int(rng.integers(len(self))))

    def _name(self, chosen: tuple[IndexedScene, Window]) -> str:
        scene, window = chosen
        return f'{scene.name} at {window} of {scene.sources[scene.reference].path}'

    def read_window(self, index: int) -> dict[str, Any] | None:
        """Images and validity of a sample of the grid, without the pipeline.

        Returns:
            The pipeline's input less ``rng``; None when a file is unreadable (which counts).
        """
        self.full_init()
        self._set_up_process()
        return self._read(self._window(self._check_index(index)))

    def windows_of(self, scene: int) -> list[Window]:
        """The usable windows of a scene's grid (in random mode, half overlapping)."""
        side = self.settings.window_size
        return [(int(r), int(c), side, side) for r, c in self.scenes[scene].positions]

    def read_modality(
        self, scene: int, modality: str, window: Window
    ) -> tuple[NDArray, NDArray[np.bool_]] | None:
        """(C, H, W) values and (H, W) validity; None when too little of it is valid.

        Raises:
            OSError: when the file is unreadable.
        """
        return self._read_modality(self.scenes[scene], modality, window)

    def note_failure(self, path: str, reason: object) -> None:
        """Name and count a file that could not be read.

        Raises:
            UnreadableDataError: when more than ``max_failed_share`` have failed.
        """
        self._failures.note(path, reason, read=False)

    def _window(self, index: int) -> tuple[IndexedScene, Window]:
        row, col = map(int, self._positions[index])
        side = self.settings.window_size
        return self.scenes[int(self._scene_of[index])], (row, col, side, side)

    def _draw_window(self, rng: np.random.Generator) -> tuple[IndexedScene, Window]:
        """A scene in proportion to area, then a position that the coarse maps do not rule out."""
        side = self.settings.window_size
        number = int(np.searchsorted(self._area_below, rng.random(), side='right'))
        scene = self.scenes[min(number, len(self.scenes) - 1)]
        for _ in range(MAX_DRAWS):
            row, col = (int(rng.integers(max(1, size - side + 1))) for size in scene.size)
            if any(
                validity.full
                and scene.grids[m].aligned
                and m == scene.reference
                or usable(
                    grid_shares(validity, scene.grids[m], np.array([row]), np.array([col]), side),
                    self.settings.max_invalid,
                ).any()
                for m, validity in scene.validity.items()
            ):
                break
        return scene, (row, col, side, side)

    # Reading

    def _read(self, chosen: tuple[IndexedScene, Window]) -> dict[str, Any] | None:
        """Read all modalities of a window; None when a file fails or nothing usable is there."""
        scene, window = chosen
        images: dict[str, NDArray] = {}
        valid: dict[str, NDArray[np.bool_]] = {}
        good = False
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
                good |= self.settings.judge_by == 'any' or modality == scene.reference
            else:
                shape = (self.num_bands[modality], *window[2:])
                images[modality] = np.zeros(shape, dtype=self.dtypes[modality])
                valid[modality] = np.zeros(window[2:], dtype=bool)
        if not good:
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
        """(C, H, W) values and (H, W) validity; None when too little of it is valid."""
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
            patient=not self._failures.has_failed(source.path),
        )
        if source.may_be_heights:
            self._look_for_fills(modality, source, values, valid)
        if not usable(np.count_nonzero(valid) / valid.size, self.settings.max_invalid):
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
