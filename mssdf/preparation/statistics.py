"""Statistics of a dataset's modalities, computed over its files in several processes.

Absolute values are taken once per pixel from each file at its own resolution. Values relative to
the median of their window are taken from the windows of the dataset's grid, as in training.
"""

import json
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.datasets.multi_modal_raster import MultiModalRasterDataset
from mssdf.rasters.band_source import BandSource
from mssdf.rasters.identity import FileFacts, raster_facts
from mssdf.rasters.pool import RasterPool
from mssdf.rasters.read_errors import READ_ERRORS, UnreadableFileError, read_reason
from mssdf.rasters.resample import GridMap, read_on_grid
from mssdf.utils.folders import Listing, list_folder
from mssdf.utils.progress import track

from .pixel_statistics import FineCounts, PixelStatistics
from .statistics_state import StatisticsState, digest_of

PERCENTILES = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)

# Numbers of values of a task, and of a block that is decoded at once.
TASK_VALUES = 128_000_000
BLOCK_VALUES = 8_000_000


@dataclass(frozen=True)
class Part:
    """A part to read for one modality: rows of a file, or windows of a scene.

    Attributes:
        modality: name of the modality to which the pixels count.
        relative: whether each window's median is subtracted.
        source: source of the pixels.
        rows: first and last row (exclusive), for absolute values.
        scene: number of the scene, for relative values.
    """

    modality: str
    relative: bool
    source: BandSource
    rows: tuple[int, int] = (0, 0)
    scene: int = 0

    @property
    def name(self) -> tuple[str, bool]:
        """Modality and kind of values to which its pixels are added."""
        return self.modality, self.relative


@dataclass
class Measured:
    """A result of one part."""

    statistics: PixelStatistics | None = None
    fine: FineCounts | None = None
    pixels: int = 0
    failure: UnreadableFileError | None = None


def compute_statistics(
    dataset: MultiModalRasterDataset,
    relative: Sequence[str] = (),
    percentiles: Sequence[float] = PERCENTILES,
    workers: int = 1,
    partial: str | os.PathLike | None = None,
) -> dict[str, dict[str, Any]]:
    """Compute statistics per modality and band over the valid pixels of all scenes.

    Args:
        dataset: dataset whose scenes with usable windows are read; its pipeline is not run.
        relative: names of modalities whose height above the window's median is measured too.
        percentiles: percentiles, 0 … 100.
        workers: number of processes.
        partial: path of a file that stores the progress on interruption, from which a later call
            resumes.

    Returns:
        For each modality ``mean``, ``std``, ``min``, ``max`` (a list over bands each),
        ``percentiles`` (by name, a list over bands), ``valid_share``, ``pixels``, ``dtype`` and,
        where requested, ``relative`` with the same of the relative values.

    Raises:
        KeyError: if ``relative`` names an unknown modality.
        ValueError: if a modality has no valid pixel, or a percentile is out of range.
        UnreadableDataError: if too many files cannot be read.
    """
    unknown = sorted(set(relative) - set(dataset.modalities))
    if unknown:
        raise KeyError(f'relative: expected some of {list(dataset.modalities)}, found {unknown}')

    wrong = [p for p in percentiles if not 0 <= p <= 100]
    if wrong:
        raise ValueError(f'percentiles: expected values from 0 to 100, found {wrong}')

    dataset.full_init()
    parts = list(_parts(dataset, relative))
    files = {part.source.path for part in parts}
    listing = cache(list_folder)

    # A partial result is only valid for the same files, settings and windows.
    digest = digest_of(
        parts,
        dataset.windows,
        list(percentiles),
        [scene.positions.tobytes() for scene in dataset.scenes],
        [_facts_of(file, listing) for file in sorted(files)],
    )
    state = StatisticsState.load(partial, digest) if partial else StatisticsState(digest)

    try:
        _run(dataset, parts, state, 0, workers)
        for modality in dataset.modalities:
            total = state.totals.get((modality, False))
            if total is None or not total.count[0]:
                raise ValueError(
                    f'modality {modality!r}: expected valid pixels in some file, found none'
                )
        state.start_second_pass(percentiles)
        _run(dataset, parts, state, 1, workers)
    except KeyboardInterrupt:
        if partial:
            state.save(partial)
            print_log(f'what is done is kept in {partial}', logger='current')
        raise

    if partial:
        Path(partial).unlink(missing_ok=True)

    return {
        modality: _summary(dataset, modality, state, percentiles) for modality in dataset.modalities
    }


def _facts_of(file: str, listing: Listing) -> list[FileFacts]:
    """List the facts of files that determine the pixels of a raster; none if it is unreadable."""
    try:
        return raster_facts(file, listing)
    except OSError:
        return []


def write_statistics(path: str | os.PathLike, statistics: Mapping[str, Any]) -> None:
    """Write JSON under a temporary name and move it."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'.{target.name}.{os.getpid()}')
    temporary.write_text(json.dumps(statistics, indent=2) + '\n', encoding='utf-8')
    os.replace(temporary, target)


def _parts(dataset: MultiModalRasterDataset, relative: Sequence[str]) -> Iterator[Part]:
    seen = set()
    for number, scene in enumerate(dataset.scenes):
        for modality, source in scene.sources.items():
            if (modality, source.path, source.bands) not in seen:  # scenes may share a file
                seen.add((modality, source.path, source.bands))
                height, width = source.header.height, source.header.width
                rows = max(1, TASK_VALUES // (width * len(source.bands)))
                for row in range(0, height, rows):
                    yield Part(modality, False, source, (row, min(row + rows, height)))
            if modality in relative:
                yield Part(modality, True, source, scene=number)


# The dataset and the open rasters of each worker process.
_dataset: MultiModalRasterDataset | None = None
_pool: RasterPool | None = None


def _start_worker(dataset: MultiModalRasterDataset) -> None:
    global _dataset, _pool
    _dataset, _pool = dataset, RasterPool(max_open=4)


def _start_process(dataset: MultiModalRasterDataset) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    _start_worker(dataset)


def _run(
    dataset: MultiModalRasterDataset,
    parts: Sequence[Part],
    state: StatisticsState,
    number: int,
    workers: int,
) -> None:
    """Do the rest of a pass; an unreadable file is counted, and too many raise an error."""
    left = [
        i
        for i, part in enumerate(parts)
        if i not in state.done[number] | state.failed and (number == 0 or part.name in state.fine)
    ]
    what = ('first pass', 'second pass')[number]
    bins = {name: fine.bins for name, fine in state.fine.items()} if number else {}
    jobs = ((i, parts[i], bins.get(parts[i].name)) for i in left)
    for i, measured in track(_map(dataset, jobs, workers), len(left), what):
        if measured.failure is not None:
            if number:  # it was readable before, so its pixels are in the first pass
                raise measured.failure
            dataset.note_failure(measured.failure.path, measured.failure.reason)
            state.failed.add(i)
        elif measured.statistics is not None:
            state.add(parts[i].name, measured.statistics, measured.pixels)
        elif measured.fine is not None:
            state.fine[parts[i].name].merge(measured.fine)
        state.done[number].add(i)


def _map(
    dataset: MultiModalRasterDataset,
    jobs: Iterator[tuple[int, Part, Sequence[NDArray] | None]],
    workers: int,
) -> Iterator[tuple[int, Measured]]:
    """Measure parts, and yield them in the order of completion."""
    if workers <= 1:
        _start_worker(dataset)
        for i, part, bins in jobs:
            yield i, _measure(part, bins)
        return
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('fork' if 'fork' in methods else 'spawn')
    pool = ProcessPoolExecutor(workers, context, _start_process, (dataset,))
    try:
        futures = {pool.submit(_measure, part, bins): i for i, part, bins in jobs}
        for future in as_completed(list(futures)):
            yield futures.pop(future), future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _measure(part: Part, bins: Sequence[NDArray] | None) -> Measured:
    """Measure one part in a worker: the first pass without ``bins``, the second with them."""
    assert _dataset is not None and _pool is not None  # _start_worker has run
    dtype = 'float32' if part.relative else _dataset.dtypes[part.modality]
    statistics = PixelStatistics(len(part.source.bands), dtype) if bins is None else None
    fine = None if bins is None else FineCounts(bins)
    pixels = 0
    try:
        read = _relative_values(part) if part.relative else _absolute_values(part)
        for values, size in read:
            pixels += size
            if statistics is not None:
                statistics.update(values)
            if fine is not None:
                fine.update(values)
    except READ_ERRORS as error:
        reason = read_reason(part.source.path, error)
        return Measured(failure=UnreadableFileError(part.source.path, reason))
    return Measured(statistics, fine, pixels)


def _absolute_values(part: Part) -> Iterator[tuple[NDArray, int]]:
    """Yield valid pixels (C, n) of blocks of rows, and the number of pixels in each block."""
    assert _dataset is not None and _pool is not None
    source = part.source
    width = source.header.width
    rows = max(1, BLOCK_VALUES // (width * len(source.bands)))
    dtype = _dataset.dtypes[part.modality]
    for row in range(part.rows[0], part.rows[1], rows):
        height = min(rows, part.rows[1] - row)
        raster = _pool.get(source.path)
        values, valid = read_on_grid(raster, source, GridMap(), (row, 0, height, width))
        yield values[:, valid].astype(dtype, copy=False), valid.size


def _relative_values(part: Part) -> Iterator[tuple[NDArray, int]]:
    """Yield valid pixels (C, n) of windows minus their median, as in training."""
    assert _dataset is not None
    for window in _dataset.windows_of(part.scene):
        read = _dataset.read_modality(part.scene, part.modality, window)
        if read is not None:
            image, valid = read
            values = image[:, valid].astype(np.float32)
            yield values - np.median(values), valid.size


def _summary(
    dataset: MultiModalRasterDataset,
    modality: str,
    state: StatisticsState,
    percentiles: Sequence[float],
) -> dict[str, Any]:
    name = (modality, False)
    total = state.totals[name]
    summary = _describe(total, state.fine.get(name), percentiles)
    summary['valid_share'] = int(total.count[0]) / state.pixels[name]
    summary['pixels'] = state.pixels[name]
    summary['dtype'] = dataset.dtypes[modality]
    relative = state.totals.get((modality, True))
    if relative is not None and relative.count[0]:
        summary['relative'] = _describe(relative, state.fine.get((modality, True)), percentiles)
    elif relative is not None:
        print_log(
            f'modality {modality!r}: no window has enough valid pixels, so none of its heights '
            f'relative to a window',
            logger='current',
            level=logging.WARNING,
        )
    return summary


def _describe(
    total: PixelStatistics, fine: FineCounts | None, percentiles: Sequence[float]
) -> dict[str, Any]:
    values = total.percentiles(percentiles, fine)
    return dict(
        mean=total.mean.tolist(),
        std=total.std.tolist(),
        min=total.low.tolist(),
        max=total.high.tolist(),
        percentiles={f'{p:g}': row.tolist() for p, row in zip(percentiles, values, strict=True)},
    )
