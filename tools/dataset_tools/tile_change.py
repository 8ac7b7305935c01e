"""Cut two dates and their map of changes into tiles, in LEVIR-CD's layout (for WHU-CD)."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mssdf.datasets.transforms.load_rasters import read_image
from mssdf.errors import MissingFileError
from mssdf.preparation.benchmarks.kept_settings import keep_settings
from mssdf.preparation.benchmarks.tiling import cut, tile_places
from mssdf.preparation.image_files import write_png
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.read_errors import READ_ERRORS
from mssdf.utils.progress import track

EPILOG = """\
expected: two images (8 bits) on one grid and a map of changes (0 and another value,
in one band or in three that are alike). WHU-CD has
a training and a test area; cut each into its own split. Validation tiles are the last --val of a
training area's columns, so that no tile of one touches the other's. Tiles do not overlap; what is
left over at the right and at the bottom is not used.

writes:
  OUT/SPLIT/{A,B,label}/NAME_left_top_right_bottom.png      label: 0, 255 changed
  OUT/tile_change_NAME.json      split, size and share: the same area is never cut into two splits

example:
  python tools/dataset_tools/tile_change.py 2012_train.tif 2016_train.tif change_train.tif \\
      --split train --val 0.1 --out data/whu-cd
"""


@dataclass(frozen=True)
class Area:
    """A set of tiles to cut from three files."""

    files: tuple[Path, Path, Path]
    name: str
    out: Path
    places: tuple[tuple[int, int, int, int], ...]
    splits: tuple[str, ...]


def cut_area(job: Area) -> str:
    """Write tiles; return ``'there'`` if all of them exist.

    Raises:
        FileNotFoundError, OSError: if a file is missing or unreadable.
        ValueError: if files differ in size, images are not of 8 bits, or the map has other values.
    """
    targets = [
        [
            job.out / split / folder / f'{job.name}_{"_".join(map(str, place))}.png'
            for folder in ('A', 'B', 'label')
        ]
        for split, place in zip(job.splits, job.places, strict=True)
    ]

    if all(path.is_file() for paths in targets for path in paths):
        return 'there'

    first, second, changes = (
        read_image(str(path), nodata='ignore', colors=colors)[0]
        for path, colors in zip(job.files, (True, True, False), strict=True)
    )

    for other, path in ((second, job.files[1]), (changes, job.files[2])):
        if other.shape[:2] != first.shape[:2]:
            raise ValueError(
                f'{path}: expected {first.shape[0]} x {first.shape[1]} pixels as in '
                f'{job.files[0]}, found {other.shape[0]} x {other.shape[1]}'
            )

    for image, path in ((first, job.files[0]), (second, job.files[1])):
        if image.dtype != np.uint8 or image.shape[2] < 3:
            raise ValueError(
                f'{path}: expected 3 bands of uint8, found {image.shape[2]} of {image.dtype}'
            )

    if changes.shape[2] == 3 and (changes == changes[..., :1]).all():
        changes = changes[..., :1]  # black and white in three bands
    values = np.unique(changes)
    if changes.shape[2] != 1 or len(values) > 2 or 0 not in values:
        raise ValueError(
            f'{job.files[2]}: expected 1 band (or 3 alike) of 0 and one other value, found '
            f'{changes.shape[2]} bands of {values[:5].tolist()}'
        )

    label = (changes[..., 0] != 0).astype(np.uint8) * 255
    pairs = list(zip(job.places, targets, strict=True))
    for place, paths in track(pairs, len(pairs), 'tiles'):
        for raster, path in zip((first[..., :3], second[..., :3], label), paths, strict=True):
            write_png(path, cut(raster, place).astype(np.uint8))
    return 'written'


def main(arguments: list[str] | None = None) -> int:
    """Cut what is missing; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('first', type=Path, help='image of the first date')
    parser.add_argument('second', type=Path, help='image of the second date')
    parser.add_argument('changes', type=Path, help='map of the changes')
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='split of the area'
    )
    parser.add_argument(
        '--size', type=int, default=256, help='side of a tile in pixels (default: 256)'
    )
    parser.add_argument(
        '--val', type=float, default=0.0, help='share of the columns for validation (default: 0)'
    )
    parser.add_argument(
        '--name', help="beginning of the tiles' names (default: that of the first file)"
    )
    args = parser.parse_args(arguments)

    files = (args.first, args.second, args.changes)
    name = args.name or args.first.stem
    try:
        for path in files:
            if not path.is_file():
                raise MissingFileError(path, 'a file')

        header = read_header(str(args.first))
        height, width = header.height, header.width
        # Only complete tiles are cut, as shifted ones would overlap, also between the splits.
        places = [
            place
            for place in tile_places(height, width, args.size, args.size)
            if place[0] % args.size == 0 and place[1] % args.size == 0
        ]

        columns = width // args.size
        first_val = round(columns * (1 - args.val)) * args.size
        splits = ['val' if place[0] >= first_val else args.split for place in places]

        record = dict(
            files=[path.name for path in files], split=args.split, size=args.size, val=args.val
        )
        made = args.out.glob(f'*/A/{name}_*.png')
        keep_settings(args.out / f'tile_change_{name}.json', record, made)
        word = cut_area(Area(files, name, args.out, tuple(places), tuple(splits)))
    except (*READ_ERRORS, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    for split in sorted(set(splits)):
        print(f'{split:>6}: {splits.count(split)} tiles')
    print(word)
    return 0


if __name__ == '__main__':
    sys.exit(main())
