"""Windows per second and core, read from compressed GeoTIFFs as training reads them.

An orthophoto and a surface model are written in several layouts; one process then reads their
windows in random order, first alone, then with the augmentation of pre-training. The same pair
counts as many scenes, each opened by itself, so that GDAL's cache of decoded blocks holds only a
part of them. Files are in the system's cache: disks are not what is measured. Time is that which
the process itself spent computing, so that whatever else runs on the machine does not count.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from rasterio.shutil import copy

from mssdf.datasets import MultiModalRasterDataset, SampleIndex
from mssdf.datasets.raster_pool import set_gdal_options

ROOT = Path(__file__).resolve().parents[2]

LAYOUTS: dict[str, dict[str, Any]] = {
    'striped deflate': dict(tiled=False, compress='deflate'),
    'striped zstd': dict(tiled=False, compress='zstd'),
    'tiled 256 deflate': dict(tiled=True, blockxsize=256, blockysize=256, compress='deflate'),
    'tiled 256 zstd': dict(tiled=True, blockxsize=256, blockysize=256, compress='zstd'),
    'tiled 512 deflate': dict(tiled=True, blockxsize=512, blockysize=512, compress='deflate'),
    'tiled 512 zstd': dict(tiled=True, blockxsize=512, blockysize=512, compress='zstd'),
}


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    patch = ROOT / 'tests' / 'data' / 'autzen' / 'patch'
    parser.add_argument('--rgb', type=Path, default=patch / 'autzen_dom.tif')
    parser.add_argument('--dsm', type=Path, default=patch / 'autzen_dsm.tif')
    parser.add_argument('--window-size', type=int, default=320)
    parser.add_argument('--scenes', type=int, default=24, help='copies of the pair')
    parser.add_argument('--seconds', type=float, default=5.0, help='per measurement')
    parser.add_argument(
        '--layouts', nargs='+', choices=sorted(LAYOUTS), default=list(LAYOUTS), metavar='LAYOUT'
    )
    return parser.parse_args()


def augmentation(size: int) -> list[dict[str, Any]]:
    """The transforms of pre-training."""
    return [
        dict(type='mssdf.MultiModalRandomResizedCrop', size=size, scale=(0.2, 1.0)),
        dict(type='mssdf.MultiModalRandomFlip'),
        dict(type='mssdf.MultiModalRandomRotate90'),
        dict(type='mssdf.MultiModalColorJitter'),
        dict(type='mssdf.ModalityDropout', prob=0.1),
        dict(type='mssdf.PackMultiModalInputs'),
    ]


def write_pair(args: argparse.Namespace, folder: Path, options: dict[str, Any]) -> None:
    """Re-encode the pair, without loss, and link it as many scenes."""
    patch = folder / 'patch'
    patch.mkdir(parents=True)
    for source, suffix in ((args.rgb, '_dom.tif'), (args.dsm, '_dsm.tif')):
        first = patch / f'scene000{suffix}'
        predictor = 3 if suffix == '_dsm.tif' else 2
        copy(source, first, driver='GTiff', interleave='pixel', predictor=predictor, **options)
        for number in range(1, args.scenes):
            os.symlink(first.name, patch / f'scene{number:03d}{suffix}')


def measure(dataset: MultiModalRasterDataset, seconds: float) -> float:
    """Samples per second of one core, in a random order, over at least so many seconds."""
    order = np.random.default_rng(0).permutation(len(dataset))
    for index in order[:20]:  # libraries and files are loaded at the first use
        dataset[SampleIndex(int(index), 0)]
    done, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        dataset[SampleIndex(int(order[done % len(order)]), 1)]
        done += 1
    return done / (time.process_time() - start)


def main() -> None:
    """Measure each layout and print a table."""
    args = parse_args()
    cv2.setNumThreads(0)  # as in a worker
    set_gdal_options()
    with rasterio.open(args.rgb) as rgb, rasterio.open(args.dsm) as dsm:
        print(
            f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one process; '
            f'Python {platform.python_version()}, rasterio {rasterio.__version__}, '
            f'GDAL {rasterio.__gdal_version__}\n'
            f'{rgb.count} bands {rgb.dtypes[0]} and {dsm.count} band(s) {dsm.dtypes[0]}, '
            f'{rgb.height} × {rgb.width}, {args.scenes} scenes, windows of {args.window_size} px'
        )
    print(f'{"layout":<20}{"MB per pair":>12}{"read only":>12}{"augmented":>12}   windows/s/core')
    for layout in args.layouts:
        with tempfile.TemporaryDirectory() as folder:
            write_pair(args, Path(folder), LAYOUTS[layout])
            size = sum(f.stat().st_size for f in Path(folder, 'patch').glob('scene000*')) / 1e6
            speeds = [
                measure(
                    MultiModalRasterDataset(
                        data_root=folder,
                        modalities=dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif')),
                        window_size=args.window_size,
                        cache_dir='',
                        pipeline=pipeline,
                    ),
                    args.seconds,
                )
                for pipeline in (
                    augmentation(args.window_size)[-1:],
                    augmentation(args.window_size),
                )
            ]
        print(f'{layout:<20}{size:>12.1f}{speeds[0]:>12.0f}{speeds[1]:>12.0f}', flush=True)


if __name__ == '__main__':
    main()
