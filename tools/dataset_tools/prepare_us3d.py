"""Divide US3D (Data Fusion Contest 2019, track 1) into training and validation by place."""

import argparse
import re
import sys
from pathlib import Path

from mssdf.errors import FileError, MissingFileError, Words
from mssdf.preparation.benchmarks.jobs import run_jobs
from mssdf.preparation.benchmarks.kept_settings import keep_settings
from mssdf.preparation.benchmarks.splits import write_lists
from mssdf.preparation.benchmarks.stratified import order_by_class, take_share
from mssdf.preparation.benchmarks.us3d import View, cut_view
from mssdf.utils.folders import files_below

EPILOG = """\
expected layout (any depth):
  ROOT/.../JAX_004_006_RGB.tif        city, place, view; uint8
  ROOT/.../JAX_004_006_AGL.tif        heights above ground, float32 meters, NaN where unknown

writes:
  OUT/img_dir/{train,val}/JAX_004_006_0_0_512_512.tif
  OUT/height_dir/{train,val}/...tif   float32 meters, nodata -9999
  OUT/splits/train.txt, val.txt, train.json: places; all views of a place are on one side
  OUT/prepare_us3d.json               the size; another one needs another folder

example:
  python tools/dataset_tools/prepare_us3d.py Track1 --out data/us3d
"""
NAME = re.compile(r'([A-Z]+_\d+)_(\d+)_RGB\.tif', re.IGNORECASE)
HEIGHTS, COLORS = '_AGL.tif', '_RGB.tif'


def find_views(root: Path) -> dict[Path, tuple[str, Path]]:
    """Find the place and the heights of each image.

    Raises:
        FileNotFoundError: if there is no image, or one lacks its heights.
        ValueError: if a file has another form of name.
    """
    heights = {path.name[: -len(HEIGHTS)]: path for path in files_below(root, HEIGHTS)}
    views = {}
    for path in files_below(root, COLORS):
        match = NAME.fullmatch(path.name)
        if match is None:
            raise FileError(path, 'a name like JAX_004_006_RGB.tif', Words(repr(Path(path).name)))
        stem = path.name[: -len(COLORS)]
        if stem not in heights:
            raise MissingFileError(path, f'{stem}_AGL.tif under {root}')
        views[path] = match[1], heights[stem]
    if not views:
        raise FileNotFoundError(f'{root}: expected files *_RGB.tif, found none')
    return views


def main(arguments: list[str] | None = None) -> int:
    """Cut what is missing; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('root', type=Path, help='folder of the data, at any depth')
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--size', type=int, default=512, help='side of a cut in pixels (default: 512)'
    )
    parser.add_argument(
        '--val', type=float, default=0.2, help='share of the places for validation (default: 0.2)'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the split')
    parser.add_argument(
        '--workers', type=int, default=2, help='number of processes; 0 uses this one'
    )
    args = parser.parse_args(arguments)

    try:
        views = find_views(args.root)
        by_city = {place: place.split('_')[0] for place, _ in views.values()}
        val = take_share(order_by_class(by_city, args.seed), args.val)
        lists = dict(train=sorted(set(by_city) - set(val)), val=val)
        write_lists(args.out / 'splits', lists, dict(seed=args.seed, val=args.val))

        made = args.out.glob('img_dir/*/*.tif')
        keep_settings(args.out / 'prepare_us3d.json', dict(size=args.size), made)
        jobs = [
            View(image, heights, 'val' if place in val else 'train', args.out, args.size)
            for image, (place, heights) in views.items()
        ]
        counts = run_jobs(cut_view, jobs, args.workers, 'views')
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    for split, places in lists.items():
        cuts = len(list((args.out / f'img_dir/{split}').glob('*.tif')))
        print(f'{split:>6}: {len(places)} places, {cuts} cuts')
    print(', '.join(f'{count} views {word}' for word, count in sorted(counts.items())))
    return 0


if __name__ == '__main__':
    sys.exit(main())
