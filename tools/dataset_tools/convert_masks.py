"""Turn masks and label maps in colors, of three bands, into one band."""

import argparse
import sys
from pathlib import Path

from mssdf.preparation.benchmarks.jobs import run_jobs
from mssdf.preparation.benchmarks.kept_settings import keep_settings
from mssdf.preparation.benchmarks.masks import MaskJob, convert_mask, find_masks, target_of

EPILOG = """\
expected: folders of masks (PNG, TIFF, JPEG, BMP; 8 bits, with or without alpha), or a data set in
LEVIR-CD's layout, ROOT/{train,val,test}/label/*.

writes, beside each folder:
  FOLDER_index/NAME.png
  black and white as 0 and 255, which mssdf.LoadChange and mssdf.LoadBinaryMask read;
  with --palette the place of each color in it: 0, 1, 2, ...

A color that is none of them stops the tool; --tolerance takes near ones, as JPEG makes them.

examples:
  python tools/dataset_tools/convert_masks.py data/own-changes
  python tools/dataset_tools/convert_masks.py labels --palette 0,0,0 255,0,0 0,255,0
"""


def parse_color(text: str) -> tuple[int, ...]:
    """Parse ``R,G,B`` into red, green and blue.

    Raises:
        argparse.ArgumentTypeError: if the text has another form.
    """
    parts = text.split(',')
    if len(parts) != 3 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise argparse.ArgumentTypeError(f'expected R,G,B from 0 to 255, found {text!r}')
    return tuple(map(int, parts))


def main(arguments: list[str] | None = None) -> int:
    """Convert what is missing; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument(
        'folders', type=Path, nargs='+', help='folders of masks, or roots of data sets'
    )
    parser.add_argument(
        '--palette', type=parse_color, nargs='+', help='colors in the order of the labels'
    )
    parser.add_argument(
        '--tolerance', type=int, default=0, help='largest difference from a color (default: 0)'
    )
    parser.add_argument(
        '--workers', type=int, default=2, help='number of processes; 0 uses this one'
    )
    args = parser.parse_args(arguments)

    palette = tuple(args.palette) if args.palette else None
    try:
        jobs = []
        for folder in args.folders:
            for path in find_masks(folder):
                jobs.append(MaskJob(path, target_of(path, folder), palette, args.tolerance))

        settings = dict(palette=[list(color) for color in palette or ()], tolerance=args.tolerance)
        for target in sorted({job.target.parent for job in jobs}):
            keep_settings(target / 'convert_masks.json', settings, target.glob('*.png'))
        counts = run_jobs(convert_mask, jobs, args.workers, 'masks')
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    for target in sorted({job.target.parent for job in jobs}):
        print(target)
    print(', '.join(f'{count} masks {word}' for word, count in sorted(counts.items())))
    return 0


if __name__ == '__main__':
    sys.exit(main())
