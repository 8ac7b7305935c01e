"""Make small data sets, in the layouts of the public ones, from the imagery that ships.

They serve to try any downstream config in a minute. The images are real; most labels are derived
from heights and colors. The scores demonstrate the full pipeline; they are not a benchmark.
"""

import argparse
import sys
from pathlib import Path

from mssdf.preparation.examples import LAYOUTS, make_examples

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Make the examples and print their paths; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path, help='folder that gets one folder per data set')
    parser.add_argument(
        'names', nargs='*', metavar='DATASET', help=f'data sets to make: {", ".join(LAYOUTS)}'
    )
    parser.add_argument(
        '--source', type=Path, default=ROOT / 'tests/data', help='folder of the imagery that ships'
    )
    args = parser.parse_args(arguments)
    try:
        roots = make_examples(args.source, args.out, args.names or LAYOUTS)
    except (FileNotFoundError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2
    for root in roots:
        print(f'{sum(path.is_file() for path in root.rglob("*")):6d} files  {root}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
