"""Draw a share of a segmentation set's training images, once, stratified by class, from a seed.

Images are added one by one so that every class reaches about the same share of its pixels, rare
classes as much as common ones; the smaller share is the beginning of the larger one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from mssdf.errors import MissingFileError
from mssdf.preparation.benchmarks.label_counts import count_all
from mssdf.preparation.benchmarks.splits import write_lists
from mssdf.preparation.benchmarks.stratified import order_by_pixels
from mssdf.utils.folders import files_in

EPILOG = """\
expected layout:
  ROOT/ann_dir/train/NAME<suffix>     label maps of indices

writes:
  ROOT/splits/train_50.txt            names, without the suffix, for ann_file
  ROOT/splits/train_50.json           seed, share, and the share of each class's pixels

examples:
  python tools/dataset_tools/draw_fraction.py data/potsdam
  python tools/dataset_tools/draw_fraction.py data/isaid --suffix _instance_color_RGB.png
  python tools/dataset_tools/draw_fraction.py data/levir-cd --labels train/label --share 0.1
"""


def main(arguments: list[str] | None = None) -> int:
    """Draw the share; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('root', type=Path, help='root of the data set')
    parser.add_argument(
        '--labels', default='ann_dir/train', help='folder of the label maps under ROOT'
    )
    parser.add_argument('--suffix', default='.png', help="ending of the label maps' names")
    parser.add_argument('--share', type=float, default=0.5, help='share of the training images')
    parser.add_argument('--seed', type=int, default=0, help='seed of the draw')
    parser.add_argument(
        '--ignored', type=int, nargs='*', default=[255], help='values that are not counted'
    )
    parser.add_argument(
        '--workers', type=int, default=2, help='number of processes; 0 uses this one'
    )
    args = parser.parse_args(arguments)

    try:
        folder = args.root / args.labels
        if not folder.is_dir():
            raise MissingFileError(folder, 'a folder')
        if not 0 < args.share <= 1:
            raise ValueError(f'--share: expected above 0 and at most 1, found {args.share}')
        paths = [path for path in files_in(folder) if path.name.endswith(args.suffix)]
        if not paths:
            raise FileNotFoundError(f'{folder}: expected label maps *{args.suffix}, found none')

        counts = count_all(paths, args.workers)
        counts[:, args.ignored] = 0
        order = order_by_pixels(counts, args.seed)[: max(round(args.share * len(paths)), 1)]
        totals = counts.sum(axis=0)
        reached = {
            str(value): round(float(counts[order, value].sum() / totals[value]), 4)
            for value in np.flatnonzero(totals)
        }

        name = f'train_{round(100 * args.share)}'
        names = sorted(paths[index].name.removesuffix(args.suffix) for index in order)
        record = dict(seed=args.seed, share=args.share, labels=args.labels, share_of_pixels=reached)
        write_lists(args.root / 'splits', {name: names}, record)
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    print(f'{len(names)} of {len(paths)} images  {args.root / "splits" / name}.txt')
    for value, share in reached.items():
        print(f'  label {value:>3}: {100 * share:5.1f} % of its pixels')
    return 0


if __name__ == '__main__':
    sys.exit(main())
