"""Cut DOTA's images into tiles with mmrotate's splitter, one part after the other."""

import argparse
import sys
from pathlib import Path

from mssdf.errors import MissingFileError
from mssdf.preparation.benchmarks.dota import Tiling, split_part

EPILOG = """\
expected layout:
  ROOT/{train,val}/images/P0000.png, ROOT/{train,val}/labelTxt/P0000.txt
  ROOT/test/images/...                                           its boxes are not public

writes, per part:
  OUT/{train,val,test}/images/P0000__1024__0___0.png
  OUT/{train,val}/annfiles/P0000__1024__0___0.txt                boxes in the tile's pixels

A complete part is not done again; one that was interrupted is done from the start. Every training
image needs its text file: the splitter would take it for one without objects.

example:
  python tools/dataset_tools/split_dota.py DOTA --out data/dota
"""
PARTS = ('train', 'val', 'test')


def split(root: Path, out: Path, part: str, tiling: Tiling) -> str:
    """Cut one part; see :func:`~mssdf.preparation.benchmarks.dota.split_part`."""
    images, boxes = root / part / 'images', root / part / 'labelTxt'
    if not images.is_dir():
        return 'not there'
    if part != 'test' and not boxes.is_dir():
        raise MissingFileError(boxes, 'a folder')
    return split_part(images, None if part == 'test' else boxes, out / part, tiling)


def main(arguments: list[str] | None = None) -> int:
    """Cut all parts; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('root', type=Path, help='root of the data set')
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--size', type=int, default=1024, help='side of a tile in pixels (default: 1024)'
    )
    parser.add_argument(
        '--overlap', type=int, default=200, help='overlap of tiles in pixels (default: 200)'
    )
    parser.add_argument(
        '--workers', type=int, default=2, help='number of processes of the splitter'
    )
    args = parser.parse_args(arguments)

    tiling = Tiling(args.size, args.overlap, args.workers)
    try:
        if not 0 <= args.overlap < args.size:
            raise ValueError(
                f'--overlap: expected 0 to less than the size ({args.size}), found {args.overlap}'
            )

        if not any((args.root / part / 'images').is_dir() for part in PARTS):
            raise FileNotFoundError(
                f'{args.root}: expected {"/images, ".join(PARTS)}/images, found none'
            )

        for part in PARTS:
            print(f'{part:>6}: {split(args.root, args.out, part, tiling)}', flush=True)
    except (OSError, ValueError, RuntimeError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
