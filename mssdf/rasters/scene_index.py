"""The index of scenes: their files are opened, their grids checked and usable windows found."""

from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed, wait
from functools import cache as cache_calls
from functools import partial

import numpy as np

from mssdf.utils.folders import list_folder
from mssdf.utils.progress import track

from .band_source import BandSource, make_source
from .fill_values import find_fills
from .grids import map_grids
from .index_cache import IndexCache, scene_identity, scene_key
from .indexed_scene import IndexedScene
from .raster_header import RasterHeader, read_header
from .raster_reader import RasterReader
from .read_errors import UnreadableFileError
from .reader_threads import reader_threads
from .retries import RetryPolicy
from .scenes import ModalitySettings, SceneFiles
from .usable_windows import WindowJudge
from .windows import WindowOptions


def build_scenes(
    scenes: Sequence[SceneFiles],
    modalities: Mapping[str, ModalitySettings],
    windows: WindowOptions,
    cache: IndexCache,
    retries: RetryPolicy,
) -> list[IndexedScene | UnreadableFileError]:
    """Build the index of scenes, in their order; what is in the cache is not read again.

    New entries are written to the cache at intervals, and at the end even if an error ends it.

    Args:
        scenes: files of the scenes.
        modalities: settings of the modalities.
        windows: options that decide which windows are kept.
        cache: scenes indexed before.
        retries: policy of further attempts at a read.

    Returns:
        The indexed scene, or the error of its first unreadable file, for each scene.

    Raises:
        ValueError: if a file does not fit: bands, CRS, extent.
    """
    listing = cache_calls(list_folder)
    keys = [scene_key(scene, modalities, windows, listing) for scene in scenes]
    results: list[IndexedScene | UnreadableFileError | None] = [
        None if key is None else cache.get(scene_identity(scene), key)
        for scene, key in zip(scenes, keys, strict=True)
    ]
    missing = [i for i, result in enumerate(results) if result is None]
    if not missing:
        return [result for result in results if result is not None]

    pool = reader_threads()
    jobs = {pool.submit(_index_scene, scenes[i], modalities, windows, retries): i for i in missing}
    try:
        for job in track(as_completed(jobs), len(jobs), 'indexing scenes'):
            i = jobs[job]
            results[i] = result = job.result()
            key = keys[i]
            # a scene with a file on a server has no key, one that failed is tried at each start
            if isinstance(result, IndexedScene) and key is not None:
                cache.put(scene_identity(scenes[i]), key, result)
    finally:
        # Ctrl-C too waits for the scenes being read, and keeps those that were
        wait([job for job in jobs if not job.cancel()])
        cache.save()
    return [result for result in results if result is not None]


def _index_scene(
    scene: SceneFiles,
    modalities: Mapping[str, ModalitySettings],
    windows: WindowOptions,
    retries: RetryPolicy,
) -> IndexedScene | UnreadableFileError:
    """Open a scene's files, check their grids and find its usable windows."""
    reader = RasterReader(len(scene.files), retries)
    try:
        headers = {
            modality: retries.run(file.path, partial(read_header, file.path))
            for modality, file in scene.files.items()
        }
        opened = _open_scene(scene, headers, modalities, windows.reference)
        WindowJudge(opened, modalities, windows, reader).fill_in()
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
    """Choose the bands of each modality and map all grids to that of the reference."""
    sources: dict[str, BandSource] = {}
    for modality, file in scene.files.items():
        mine = modalities[modality]
        # an alpha band that another modality reads from the same file is data, not a mask
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
