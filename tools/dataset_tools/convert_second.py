"""Turn SECOND's label colors into indices."""

import argparse
import sys
from functools import partial
from pathlib import Path

from mssdf.datasets.tasks.classes import SECOND
from mssdf.errors import MissingFileError
from mssdf.preparation.benchmarks.jobs import run_jobs
from mssdf.preparation.benchmarks.second import convert
from mssdf.utils.folders import files_in

EPILOG = f"""\
expected layout:
  ROOT/{{train,test}}/{{im1,im2}}/*.png
  ROOT/{{train,test}}/{{label1,label2}}/*.png      colors, white where nothing changed

writes:
  ROOT/{{train,test}}/{{label1_index,label2_index}}/*.png
  {', '.join(f'{index} {name}' for index, name in enumerate(SECOND))}

example:
  python tools/dataset_tools/convert_second.py data/second
"""


def find_labels(root: Path) -> list[Path]:
    """List all label maps.

    Raises:
        FileNotFoundError: if there are none, or an image has none.
    """
    splits = [root / name for name in ('train', 'test') if (root / name).is_dir()]
    if not splits:
        raise FileNotFoundError(f'{root}: expected the folders train and test, found neither')
    labels = []
    for split in splits:
        for date in (1, 2):
            names = sorted(path.name for path in files_in(split / f'im{date}', '.png'))
            if not names:
                raise FileNotFoundError(f'{split / f"im{date}"}: expected *.png, found none')
            for name in names:
                path = split / f'label{date}' / name
                if not path.is_file():
                    raise MissingFileError(path, f'a file to go with im{date}/{name}')
                labels.append(path)
    return labels


def main(arguments: list[str] | None = None) -> int:
    """Convert what is missing; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='root of the data set')
    parser.add_argument(
        '--tolerance', type=int, default=0, help='largest difference from a color (default: 0)'
    )
    parser.add_argument(
        '--workers', type=int, default=2, help='number of processes; 0 uses this one'
    )
    args = parser.parse_args(arguments)
    try:
        labels = find_labels(args.root)
        counts = run_jobs(partial(convert, args.tolerance), labels, args.workers, 'label maps')
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2
    print(', '.join(f'{count} label maps {word}' for word, count in sorted(counts.items())))
    return 0


if __name__ == '__main__':
    sys.exit(main())
