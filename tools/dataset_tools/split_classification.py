"""Split a folder of images by class into training and test lists, once, stratified, from a seed."""

import argparse
import sys
from pathlib import Path

from mssdf.datasets.tasks import classes
from mssdf.errors import MissingFileError
from mssdf.preparation.benchmarks.splits import write_lists
from mssdf.preparation.benchmarks.stratified import order_by_class, take_share
from mssdf.utils.folders import files_below

EPILOG = """\
expected layout (any depth above the class folders):
  ROOT/.../CLASS/*.{jpg,png,tif,...}
  AID: AID/Airport/airport_1.jpg ...        NWPU-RESISC45: airplane/airplane_001.jpg ...
  UC Merced: Images/agricultural/*.tif ...  EuroSAT: 2750/AnnualCrop/*.jpg ...; EuroSAT-MS: *.tif

writes:
  ROOT/splits/train.txt, train_20.txt (within train.txt), test.txt: lines 'path label'
  ROOT/splits/train.json: seed, shares, classes and counts

example:
  python tools/dataset_tools/split_classification.py data/aid --dataset aid
"""
NAMES = {
    'aid': classes.AID,
    'nwpu': classes.NWPU_RESISC45,
    'ucm': classes.UC_MERCED,
    'eurosat': classes.EUROSAT,
    'eurosat-ms': classes.EUROSAT,
}
ENDINGS = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp')


def find_images(root: Path, names: tuple[str, ...] | None) -> dict[str, str]:
    """Find the class of each image, by its path under the root.

    Raises:
        FileNotFoundError: if there are no images, or a class has none.
        ValueError: if a folder of images is not a class.
    """
    if not root.is_dir():
        raise MissingFileError(root, 'a folder')
    images = {
        path.relative_to(root).as_posix(): path.parent.name
        for path in files_below(root)
        if path.suffix.lower() in ENDINGS and path.parent != root
    }
    if not images:
        raise FileNotFoundError(f'{root}: expected folders of images by class, found no image')
    found = sorted(set(images.values()))
    if names is not None:
        unknown, lacking = sorted(set(found) - set(names)), sorted(set(names) - set(found))
        if unknown:
            raise ValueError(f'{root}: expected the classes {list(names)}, found also {unknown}')
        if lacking:
            raise MissingFileError(root, f'an image of {lacking}')
    return images


def main(arguments: list[str] | None = None) -> int:
    """Split; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('root', type=Path, help='root of the data set')
    parser.add_argument('--dataset', choices=NAMES, help='data set whose class names are checked')
    parser.add_argument(
        '--test', type=float, default=0.2, help='share of the images for testing (default: 0.2)'
    )
    parser.add_argument(
        '--shares',
        type=float,
        nargs='*',
        default=[0.2],
        help='shares of the training images (default: 0.2)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the draw')
    args = parser.parse_args(arguments)

    try:
        names = NAMES.get(args.dataset)
        images = find_images(args.root, names)
        labels = {name: i for i, name in enumerate(names or sorted(set(images.values())))}
        ordered = order_by_class(images, args.seed)

        test = set(take_share(ordered, args.test))
        rest = {
            label: [path for path in paths if path not in test] for label, paths in ordered.items()
        }

        lists = {'train': take_share(rest, 1.0)}
        for share in args.shares:
            lists[f'train_{round(100 * share)}'] = take_share(rest, share)
        lists['test'] = sorted(test)

        record = dict(
            dataset=args.dataset,
            seed=args.seed,
            test=args.test,
            shares=args.shares,
            classes=list(labels),
        )

        lines = {
            name: [f'{path} {labels[images[path]]}' for path in paths]
            for name, paths in lists.items()
        }
        write_lists(args.root / 'splits', lines, record)
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    for name, paths in lists.items():
        print(f'{len(paths):7d} images  {args.root / "splits" / name}.txt')
    return 0


if __name__ == '__main__':
    sys.exit(main())
