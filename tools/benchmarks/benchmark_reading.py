"""Measure windows per second and core, and bytes per window, from GeoTIFFs and from shards.

An orthophoto and a surface model are enlarged to rasters of a realistic size, in mirror images side
by side, and written in each format, all without loss. Their windows are then read in the order of
training, by one process and by several workers, alone and with the augmentation of pre-training:

- warm: the files are in the system's cache. Rates count processor time, so that other load on the
  machine has little effect;
- cold: before each measurement the files are flushed to the disk (fsync) and dropped from the
  system's cache (posix_fadvise DONTNEED). Rates count wall time. Bytes per window are those that
  the kernel fetched from the disk for this process (read_bytes of /proc/self/io), including
  read-ahead and reads of mapped files.

Bytes asked for are rchar of /proc/self/io while reading GeoTIFFs, and a window's length in shards,
which are mapped. Each measurement is repeated: best and median are given.
"""

import argparse
import gc
import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import rasterio.shutil
import torch
from torch.utils.data import DataLoader

from mssdf.datasets import (
    MultiModalRasterDataset,
    ResumableSampler,
    ShardDataset,
    ShardSampler,
    multimodal_collate,
)
from mssdf.datasets.shards import ShardIndex, write_index, write_shard
from mssdf.rasters.pool import set_gdal_options

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = dict(rgb='_dom.tif', dsm='_dsm.tif')
PER_SHARD = 32
BATCH = 32
CORES, NEEDED = 16, 1300  # cores of a machine, and pairs per second that pre-training needs


def _tiled(side: int, compress: str) -> dict[str, Any]:
    return dict(driver='GTiff', tiled=True, blockxsize=side, blockysize=side, compress=compress)


FORMATS: dict[str, dict[str, Any] | None] = {
    'striped deflate': dict(driver='GTiff', tiled=False, compress='deflate'),
    'striped zstd': dict(driver='GTiff', tiled=False, compress='zstd'),
    'tiled 256 deflate': _tiled(256, 'deflate'),
    'tiled 256 zstd': _tiled(256, 'zstd'),
    'tiled 512 deflate': _tiled(512, 'deflate'),
    'tiled 512 zstd': _tiled(512, 'zstd'),
    'COG 256 zstd': dict(driver='COG', compress='zstd', blocksize=256),
    'COG 512 deflate': dict(driver='COG', compress='deflate', blocksize=512),
    'COG 512 zstd': dict(driver='COG', compress='zstd', blocksize=512),
    'shards': None,
}
SOURCE = 'tiled 512 zstd'  # format that the shards are made from


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    patch = ROOT / 'tests' / 'data' / 'autzen' / 'patch'
    parser.add_argument(
        '--rgb', type=Path, default=patch / 'autzen_dom.tif', help='orthophoto that is enlarged'
    )
    parser.add_argument(
        '--dsm', type=Path, default=patch / 'autzen_dsm.tif', help='surface model that is enlarged'
    )

    parser.add_argument('--window-size', type=int, default=320, help='side of a window in pixels')
    parser.add_argument(
        '--side', type=int, default=5120, help='side of the enlarged rasters in pixels'
    )
    parser.add_argument('--scenes', type=int, default=2, help='number of pairs of that size')

    parser.add_argument(
        '--windows',
        type=int,
        default=512,
        help='number of windows per measurement, best the whole epoch',
    )
    parser.add_argument(
        '--seconds', type=float, default=15, help='largest number of seconds per measurement'
    )
    parser.add_argument(
        '--repeats', type=int, default=3, help='number of repetitions of each measurement'
    )

    parser.add_argument(
        '--workers',
        type=int,
        nargs='+',
        default=[1, 2],
        help='numbers of workers of the scaling curve',
    )

    parser.add_argument(
        '--formats',
        nargs='*',
        choices=list(FORMATS),
        default=list(FORMATS),
        metavar='FORMAT',
        help='formats that are measured',
    )
    parser.add_argument(
        '--scaling', nargs='*', choices=list(FORMATS), default=['tiled 256 zstd', 'shards'],
        metavar='FORMAT', help='formats whose scaling over workers is measured',
    )  # fmt: skip

    parser.add_argument('--folder', type=Path, help='folder to write to (default: a temporary one)')
    parser.add_argument('--out', type=Path, help='JSON file of all results')
    return parser.parse_args()


def augmentation(size: int) -> list[dict[str, Any]]:
    """List the transforms of pre-training."""
    return [
        dict(type='mssdf.MultiModalRandomResizedCrop', size=size, scale=(0.2, 1.0)),
        dict(type='mssdf.MultiModalRandomFlip'),
        dict(type='mssdf.MultiModalRandomRotate90'),
        dict(type='mssdf.MultiModalColorJitter'),
        dict(type='mssdf.ModalityDropout', prob=0.1),
        dict(type='mssdf.PackMultiModalInputs'),
    ]


# Data


def enlarge(path: Path, side: int, number: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Tile a raster with mirror images to (C, side, side), shifted for each scene."""
    with rasterio.open(path) as raster:
        profile = dict(
            crs=raster.crs, transform=raster.transform, nodata=raster.nodata, dtype=raster.dtypes[0]
        )
        pixels = raster.read()
    block = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    block = np.concatenate([block, block[:, :, ::-1]], axis=2)
    block = np.roll(block, (317 * number, 211 * number), axis=(1, 2))
    times = [-(-side // size) for size in block.shape[1:]]
    return np.tile(block, (1, *times))[:, :side, :side], profile


def write_rasters(args: argparse.Namespace, folder: Path, options: dict[str, Any]) -> None:
    """Write all scenes in one format of GeoTIFF."""
    (folder / 'patch').mkdir(parents=True)
    for number in range(args.scenes):
        for source, suffix in zip((args.rgb, args.dsm), SUFFIXES.values(), strict=True):
            pixels, profile = enlarge(source, args.side, number)
            path = folder / 'patch' / f'scene{number:03d}{suffix}'
            floats = profile['dtype'] == 'float32'
            settings = dict(options, num_threads='all_cpus')
            settings['predictor'] = 3 if floats else 2
            if options['driver'] == 'COG':
                settings['predictor'] = 'FLOATING_POINT' if floats else 'STANDARD'
            else:
                settings['interleave'] = 'pixel'
            shape = dict(count=len(pixels), height=args.side, width=args.side)
            with rasterio.MemoryFile() as memory:
                with memory.open(driver='GTiff', **shape, **profile) as raster:
                    raster.write(pixels)
                with memory.open() as raster:
                    rasterio.shutil.copy(raster, path, **settings)


def write_shards(args: argparse.Namespace, folder: Path, rasters: MultiModalRasterDataset) -> None:
    """Write the windows of the rasters, 32 per shard, by the rows of the rasters."""

    def samples(first: int) -> Iterator[dict[str, Any]]:
        for index in range(first, min(first + PER_SHARD, len(rasters))):
            read = rasters.read_window(index)
            if read is None:
                raise SystemExit(f'window {index} cannot be read')
            kept = [m for m, valid in read['valid'].items() if valid.any()]
            yield dict(
                read,
                images={m: read['images'][m] for m in kept},
                valid={m: read['valid'][m] for m in kept},
                crs='',
                transform=(1, 0, 0, 0, 1, 0),
            )

    infos = [
        write_shard(folder / 'shards' / f'{first:06d}.bin', samples(first))
        for first in range(0, len(rasters), PER_SHARD)
    ]
    modalities = {
        m: dict(bands=rasters.num_bands[m], dtype=rasters.dtypes[m]) for m in rasters.modalities
    }
    write_index(folder / 'shards', infos, modalities=modalities)


def open_dataset(args: argparse.Namespace, folder: Path, augmented: bool) -> Any:
    """Open the dataset of pre-training on a folder of rasters or shards."""
    kind = ShardDataset if (folder / 'shards').is_dir() else MultiModalRasterDataset
    pipeline = augmentation(args.window_size)
    return kind(
        data_root=folder,
        modalities={m: dict(suffix=suffix) for m, suffix in SUFFIXES.items()},
        windows=dict(size=args.window_size, max_invalid_per_window=0.5, judge_by='any'),
        index=dict(cache_dir=str(folder / 'index')),
        pipeline=pipeline if augmented else pipeline[-1:],
    )


def make_sampler(dataset: Any, epoch: int) -> ResumableSampler:
    """Make the sampler of training for rasters or shards."""
    kind = ShardSampler if isinstance(dataset, ShardDataset) else ResumableSampler
    sampler = kind(dataset, seed=0)
    sampler.set_epoch(epoch)
    return sampler


# Measurements


def drop_from_cache(folder: Path) -> None:
    """Drop a folder's files from the cache, so that the next read is from the disk."""
    for path in folder.rglob('*'):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def read_io() -> dict[str, int]:
    """Read the I/O counters of this process; zeros where the system has none."""
    try:
        lines = Path('/proc/self/io').read_text().splitlines()
    except OSError:
        return dict(rchar=0, read_bytes=0)
    return {key: int(value) for key, value in (line.split(':') for line in lines)}


def read_batch(dataset: Any, indices: list[Any]) -> list[Any]:
    """Read a batch as PyTorch's data loader does."""
    if hasattr(dataset, '__getitems__'):
        return dataset.__getitems__(indices)
    return [dataset[index] for index in indices]


def measure(args: argparse.Namespace, folder: Path, augmented: bool, cold: bool) -> dict[str, Any]:
    """Read windows in this process several times, each time in another epoch."""
    rates, asked, fetched = [], [], []

    for repeat in range(args.repeats + (not cold)):
        dataset = open_dataset(args, folder, augmented)
        order = list(make_sampler(dataset, epoch=repeat))[: args.windows]
        dataset.read_window(order[0].index)  # loads libraries before the measurement

        if cold:
            # The dataset is opened again, as pages of mapped files cannot be dropped.
            del dataset
            gc.collect()
            dataset = open_dataset(args, folder, augmented)
            drop_from_cache(folder)

        # The timed part: only what reading takes.
        before, clock, spent = read_io(), time.perf_counter(), time.process_time()
        done = 0
        for first in range(0, len(order), BATCH):
            done += len(read_batch(dataset, order[first : first + BATCH]))
            if time.perf_counter() - clock > args.seconds:
                break
        clock, spent = time.perf_counter() - clock, time.process_time() - spent
        after = read_io()

        if not cold and repeat == 0:
            continue  # this round brought the files into the cache
        rates.append(done / (clock if cold else spent))
        asked.append((after['rchar'] - before['rchar']) / done)
        fetched.append((after['read_bytes'] - before['read_bytes']) / done)
        del dataset
        gc.collect()

    if (folder / 'shards').is_dir():
        content = (folder / 'shards' / 'mssdf_shards.json').read_bytes()
        shards = ShardIndex.parse(content, 'shards')
        asked = [sum(shards.sizes) / sum(shards.samples)]

    return dict(
        best=max(rates),
        median=statistics.median(rates),
        asked=statistics.median(asked),
        fetched=statistics.median(fetched),
    )


def measure_workers(args: argparse.Namespace, folder: Path, workers: int) -> dict[str, Any]:
    """Measure augmented batches from a data loader with some workers, warm and at full load.

    The clock runs from one batch to a later one while the workers prepare the following ones.
    """
    clocked, warming = max(4, args.windows // BATCH) * workers, 3 * workers

    needed = (warming + clocked + 3 * workers) * BATCH
    rates, per_core, main, shares = [], [], [], []

    for _ in range(args.repeats):
        dataset = open_dataset(args, folder, True)
        order: list[Any] = []
        while len(order) < needed:
            order += list(make_sampler(dataset, epoch=len(order)))

        loader = DataLoader(
            dataset,
            batch_size=BATCH,
            sampler=order[:needed],
            num_workers=workers,
            collate_fn=multimodal_collate,
            multiprocessing_context='spawn',
        )

        batches: Any = iter(loader)
        for _ in range(warming):
            next(batches)
        processes = [process.pid for process in batches._workers]
        busy, clock, spent = cpu_seconds(processes), time.perf_counter(), time.process_time()
        for _ in range(clocked):
            next(batches)

        busy, spent = cpu_seconds(processes) - busy, time.process_time() - spent
        clock = time.perf_counter() - clock
        for _ in batches:
            pass
        del batches, loader
        gc.collect()

        pairs = clocked * BATCH
        rates.append(pairs / clock)
        per_core.append(pairs / busy)
        main.append(spent / pairs * 1e3)
        shares.append(busy / clock / workers)

    return dict(
        best=max(rates),
        median=statistics.median(rates),
        core_best=max(per_core),
        core_median=statistics.median(per_core),
        main_ms=statistics.median(main),
        share=statistics.median(shares),
    )


def cpu_seconds(processes: list[int]) -> float:
    """Return the processor time of other processes so far."""
    ticks = 0
    for process in processes:
        fields = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


# Report


def extrapolate(rates: dict[int, float]) -> tuple[float, float]:
    """Extrapolate the pairs per second to 16 workers; return it with the efficiency.

    With e the measured ratio of pairs per second and worker between the largest and the smallest
    number of workers, W and w, each further doubling is assumed to cost as much: rate(16) = 16 *
    rate(w) / w * e^(log2(16 / w) / log2(W / w)).
    """
    few, many = min(rates), max(rates)
    each = rates[few] / few
    if many == few:
        return CORES * each, 1.0
    efficiency = min(1.0, rates[many] / many / each)
    doublings = math.log2(CORES / few) / math.log2(many / few)
    return CORES * each * efficiency**doublings, efficiency


def print_formats(results: dict[str, Any]) -> None:
    """Print one line for each format."""
    print(
        '\n| format | MB per window on disk | read, warm | with augmentation, warm | read, cold | '
        'with augmentation, cold | kB asked for per window | kB from disk per window, cold |\n'
        '|---|---|---|---|---|---|---|---|'
    )
    for name, found in results.items():
        speeds = ' | '.join(
            f'{found[key]["best"]:.0f} / {found[key]["median"]:.0f}'
            for key in ('read warm', 'augmented warm', 'read cold', 'augmented cold')
        )
        print(
            f'| {name} | {found["megabytes"]:.2f} | {speeds} | '
            f'{found["read warm"]["asked"] / 1e3:.0f} | {found["read cold"]["fetched"] / 1e3:.0f} |'
        )
    print(
        '\nWindows per second, best / median. Warm: per second of processor time, one process, '
        'which is per core. Cold: per second on the clock, one process.'
    )


def print_scaling(name: str, curve: dict[int, dict[str, Any]]) -> None:
    """Print the scaling curve of one format and its extrapolation to 16 cores."""
    print(
        f'\n**{name}**, augmented, batches of {BATCH} from a data loader, warm\n\n'
        "| workers | pairs/s | per second of the workers' processor time | "
        'cores that each worker had | main process, ms per pair |\n|---|---|---|---|---|'
    )

    for workers, found in curve.items():
        print(
            f'| {workers} | {found["best"]:.0f} / {found["median"]:.0f} | '
            f'{found["core_best"]:.0f} / {found["core_median"]:.0f} | {found["share"]:.2f} | '
            f'{found["main_ms"]:.2f} |'
        )

    for label, rates in (
        ('the clock', {w: found['best'] for w, found in curve.items()}),
        ('processor time', {w: found['core_best'] * w for w, found in curve.items()}),
    ):
        total, efficiency = extrapolate(rates)
        verdict = 'enough' if total >= NEEDED else 'NOT ENOUGH'
        print(
            f'\nBy {label}: efficiency {efficiency:.2f} from {min(rates)} to {max(rates)} '
            f'workers, so {total:.0f} pairs/s on {CORES} cores by extrapolation; {NEEDED} wanted: '
            f'{verdict}'
        )

    print('\nThe clock counts only where each worker had a core to itself.')
    slowest = max(found['main_ms'] for found in curve.values())
    print(f'One main process can take {1e3 / slowest:.0f} pairs/s.')


def describe(args: argparse.Namespace) -> str:
    """Describe the machine and the data."""
    with rasterio.open(args.rgb) as rgb, rasterio.open(args.dsm) as dsm:
        return (
            f'{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; '
            f'Python {platform.python_version()}, torch {torch.__version__}, rasterio '
            f'{rasterio.__version__}, GDAL {rasterio.__gdal_version__}, OpenCV {cv2.__version__}\n'
            f'{args.scenes} scenes of {args.side} × {args.side} pixels, {rgb.count} bands '
            f'{rgb.dtypes[0]} and {dsm.count} band(s) {dsm.dtypes[0]}, windows of '
            f'{args.window_size} px, {args.windows} per measurement, {args.repeats} measurements'
        )


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def make_folder(args: argparse.Namespace, name: str, top: Path) -> Path:
    """Write the imagery in one format, unless it exists; return its folder."""
    folder = top / name.replace(' ', '_')
    if folder.exists():
        return folder
    partial = folder.with_suffix('.partial')
    options = FORMATS[name]
    if options is None:
        write_shards(args, partial, open_dataset(args, make_folder(args, SOURCE, top), False))
    else:
        write_rasters(args, partial, options)
    partial.rename(folder)
    return folder


def main() -> None:
    """Write, measure, print."""
    args = parse_args()
    cv2.setNumThreads(0)  # the same as in a worker
    torch.set_num_threads(1)
    set_gdal_options()

    text = describe(args)
    print(text, flush=True)
    report: dict[str, Any] = dict(conditions=text, formats={}, scaling={})
    with tempfile.TemporaryDirectory() as temporary:
        top = args.folder or Path(temporary)

        for name in args.formats:
            folder = make_folder(args, name, top)
            found: dict[str, Any] = dict(megabytes=megabytes_per_window(args, folder))
            for label, augmented in (('read', False), ('augmented', True)):
                for heat in ('warm', 'cold'):
                    found[f'{label} {heat}'] = measure(args, folder, augmented, heat == 'cold')
            report['formats'][name] = found
            print(f'{name}: {found["augmented warm"]["best"]:.0f} windows/s/core', flush=True)

        for name in args.scaling:
            folder = make_folder(args, name, top)
            report['scaling'][name] = {
                workers: measure_workers(args, folder, workers) for workers in args.workers
            }

    print_formats(report['formats'])
    for name, curve in report['scaling'].items():
        print_scaling(name, curve)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1))


def megabytes_per_window(args: argparse.Namespace, folder: Path) -> float:
    """Return the size of the files per window, with overviews and indices."""
    kept = [p for part in ('patch', 'shards') for p in (folder / part).rglob('*') if p.is_file()]
    return sum(p.stat().st_size for p in kept) / 1e6 / len(open_dataset(args, folder, False))


if __name__ == '__main__':
    main()
