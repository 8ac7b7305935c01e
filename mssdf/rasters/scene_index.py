"""Opening scenes: headers, grids, and which windows are usable.

Validity is read once and kept by cells; only where a window is close to the limit are its pixels
counted.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed, wait
from functools import cache as cache_calls
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mssdf.utils.folders import list_folder
from mssdf.utils.progress import track

from .fill_values import find_fills
from .grids import map_grids
from .index_cache import IndexCache, scene_identity, scene_key
from .indexed_scene import IndexedScene, IndexSettings, usable
from .patient_reader import PatientReader
from .raster import BandSource, RasterHeader, make_source, read_header, read_validity
from .read_errors import Patience, UnreadableFileError, read_patiently
from .reader_threads import reader_threads
from .resample import validity_on_grid
from .scenes import ModalitySettings, SceneFiles
from .windows import (
    CELLS_PER_WINDOW,
    COARSE_ERROR,
    ValidityMap,
    full_map,
    grid_shares,
    grid_starts,
)

# Pixels decoded at once while a validity map is made.
CHUNK_PIXELS = 4_000_000


def build_scenes(
    scenes: Sequence[SceneFiles],
    modalities: Mapping[str, ModalitySettings],
    settings: IndexSettings,
    cache: IndexCache,
    patience: Patience = Patience(attempts=1),  # noqa: B008  frozen
    recovered: Callable[[str, int, str], None] = lambda path, attempt, reason: None,
) -> list[IndexedScene | UnreadableFileError]:
    """Index scenes, in their order; what is in the cache is not read again.

    What has been found is written to the cache now and then, and at the end however it comes.

    Args:
        scenes: to index.
        modalities: their settings.
        settings: which windows are wanted.
        cache: of scenes indexed before.
        patience: with files that cannot be read at once.
        recovered: called with a file, the attempt that worked and the error before it.
    """
    listing = cache_calls(list_folder)
    keys = [scene_key(scene, modalities, settings, listing) for scene in scenes]
    results: list[IndexedScene | UnreadableFileError | None] = [
        None if key is None else cache.get(scene_identity(scene), key)
        for scene, key in zip(scenes, keys, strict=True)
    ]
    missing = [i for i, result in enumerate(results) if result is None]
    if missing:
        pool = reader_threads()
        jobs = {
            pool.submit(_index_scene, scenes[i], modalities, settings, patience, recovered): i
            for i in missing
        }
        try:
            for job in track(as_completed(jobs), len(jobs), 'indexing scenes'):
                i = jobs[job]
                result = job.result()
                results[i] = result
                key = keys[i]
                if isinstance(result, IndexedScene) and key is not None:
                    cache.put(scene_identity(scenes[i]), key, result)
        finally:
            wait([job for job in jobs if not job.cancel()])
            cache.save()
    return [result for result in results if result is not None]


def _index_scene(
    scene: SceneFiles,
    modalities: Mapping[str, ModalitySettings],
    settings: IndexSettings,
    patience: Patience,
    recovered: Callable[[str, int, str], None],
) -> IndexedScene | UnreadableFileError:
    """Open a scene's files, check their grids, and judge its windows; try again if need be."""
    reader = PatientReader(len(scene.files), patience, recovered)
    try:
        headers = {
            m: read_patiently(
                file.path,
                partial(read_header, file.path),
                patience,
                recovered=partial(recovered, file.path),
            )
            for m, file in scene.files.items()
        }
        opened = _open_scene(scene, headers, modalities, settings.reference)
        _judge_windows(opened, modalities, settings, reader)
        opened.fills = {m: find_fills(source) for m, source in opened.sources.items()}
        return opened
    except UnreadableFileError as error:
        return error
    except MemoryError as error:
        path = next(iter(scene.files.values())).path
        return UnreadableFileError(path, f'it asks for more memory than there is ({error})')
    finally:
        reader.close()


def _open_scene(
    scene: SceneFiles,
    headers: Mapping[str, RasterHeader],
    modalities: Mapping[str, ModalitySettings],
    reference: str | None,
) -> IndexedScene:
    sources: dict[str, BandSource] = {}
    for modality, file in scene.files.items():
        mine = modalities[modality]
        asked = [
            band
            for other, other_file in scene.files.items()
            if other_file.path == file.path
            for band in (other_file.bands or modalities[other].bands or ())
        ]
        sources[modality] = make_source(
            headers[modality],
            file.bands or mine.bands,
            nodata=mine.nodata,
            nodata_rule=mine.nodata_rule,
            mask=mine.mask,
            data_bands=asked,
            dtype=mine.dtype,
            unit=mine.unit,
        )
    anchor = reference if reference in sources else next(iter(sources))
    grids = {m: map_grids(headers[anchor], header) for m, header in headers.items()}
    return IndexedScene(
        scene.name, anchor, sources, grids, positions=np.zeros((0, 2), dtype=np.int32)
    )


def _judge_windows(
    scene: IndexedScene,
    modalities: Mapping[str, ModalitySettings],
    settings: IndexSettings,
    reader: PatientReader,
) -> None:
    """Fill in which windows of the scene's grid are usable."""
    judged = [scene.reference] if settings.judge_by == 'reference' else list(scene.sources)
    window, stride = settings.window_size, settings.windows.stride
    maps = {m: _validity_map(scene, m, window, reader) for m in judged}
    if settings.windows.mode == 'random':
        scene.validity = maps
        stride = max(1, window // 2)  # only to see whether there is anything to draw
    rows, cols = (grid_starts(size, window, stride or window) for size in scene.size)
    keep = np.zeros((len(rows), len(cols)), dtype=bool)
    for modality, validity in maps.items():
        shares = grid_shares(validity, scene.grids[modality], rows, cols, window)
        if settings.windows.mode == 'grid' and not validity.full:
            _settle_close_calls(scene, modality, modalities, settings, reader, shares, rows, cols)
        keep |= usable(shares, settings.max_invalid)
    chosen = np.argwhere(keep)
    scene.positions = np.stack([rows[chosen[:, 0]], cols[chosen[:, 1]]], axis=1).astype(np.int32)
    scene.dropped = keep.size - len(chosen)


def _settle_close_calls(
    scene: IndexedScene,
    modality: str,
    modalities: Mapping[str, ModalitySettings],
    settings: IndexSettings,
    reader: PatientReader,
    shares: NDArray[np.float64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
) -> None:
    """Count the pixels where the coarse map cannot tell on which side of the limit they are."""
    source, window = scene.sources[modality], settings.window_size
    close = np.abs(shares - (1 - settings.max_invalid)) < COARSE_ERROR
    for i, j in np.argwhere(close):
        place = (int(rows[i]), int(cols[j]), window, window)
        call = partial(
            validity_on_grid,
            source=source,
            grid=scene.grids[modality],
            window=place,
            resampling=modalities[modality].resampling,
        )
        shares[i, j] = reader.read(source.path, call, expected=source.header).mean()


def _validity_map(
    scene: IndexedScene, modality: str, window: int, reader: PatientReader
) -> ValidityMap:
    """The validity of a modality's raster by cells, read row by row."""
    source, grid = scene.sources[modality], scene.grids[modality]
    size = (source.header.height, source.header.width)
    if source.always_valid:
        return full_map(size)
    side = window * min(map(abs, grid.scale))  # in source pixels
    cell = max(1, int(side / CELLS_PER_WINDOW))
    chunk = max(1, CHUNK_PIXELS // (size[1] * cell)) * cell
    parts = []
    for row in range(0, size[0], chunk):
        # Every pixel is read, as overviews say what they were made of, not what is valid.
        call = partial(
            read_validity,
            source=source,
            window=(row, 0, min(chunk, size[0] - row), size[1]),
        )
        valid = reader.read(source.path, call, expected=source.header)
        parts.append(_cell_means(valid, cell))
    shares = np.concatenate(parts)
    if shares.min() == 1.0:
        return full_map(size)
    return ValidityMap(np.rint(shares * 255).astype(np.uint8), (cell, cell), size)


def _cell_means(valid: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Means over cells of ``side`` × ``side`` pixels; the last ones may be smaller."""
    starts = [np.arange(0, size, side) for size in valid.shape]
    counts = [np.diff(np.append(s, size)) for s, size in zip(starts, valid.shape, strict=True)]
    total = np.add.reduceat(valid, starts[0], axis=0, dtype=np.int64)
    total = np.add.reduceat(total, starts[1], axis=1)
    return total / (counts[0][:, None] * counts[1])
