"""Write the boxes of DIOR or NWPU VHR-10 as COCO's JSON."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from mssdf.datasets.tasks.classes import DIOR, NWPU_VHR10
from mssdf.preparation.benchmarks.coco import LabeledImage, read_dior, read_vhr10, to_coco
from mssdf.preparation.benchmarks.splits import write_lists
from mssdf.preparation.benchmarks.stratified import order_by_class, take_share
from mssdf.preparation.benchmarks.voc import read_splits
from mssdf.utils.atomic_file import write_atomically
from mssdf.utils.folders import files_in
from mssdf.utils.progress import track

EPILOG = """\
expected layout:
  dior    ROOT/ImageSets/Main/{train,val,test}.txt              names without ending
          ROOT/Annotations/Horizontal Bounding Boxes/00001.xml
          ROOT/JPEGImages-trainval/00001.jpg, ROOT/JPEGImages-test/...
  vhr10   ROOT/positive image set/001.jpg
          ROOT/ground truth/001.txt                             (x1,y1),(x2,y2),class

writes:
  ROOT/annotations/{train,val,test}.json
  vhr10, which has no split of its own: ROOT/splits/{train,val,test}.txt and train.json, 60, 20 and
  20 %, stratified by the rarest class in an image, from --seed; scores of other splits do not
  compare

examples:
  python tools/dataset_tools/convert_to_coco.py dior data/dior
  python tools/dataset_tools/convert_to_coco.py vhr10 data/nwpu-vhr10
"""
SPLITS = ('train', 'val', 'test')


def read_all_dior(root: Path) -> dict[str, list[LabeledImage]]:
    """Read the images of each split.

    Raises:
        FileNotFoundError, ValueError: if a file is wrong; see
            :func:`~mssdf.preparation.benchmarks.coco.read_dior`.
    """
    boxes = root / 'Annotations/Horizontal Bounding Boxes'
    images: dict[str, list[LabeledImage]] = {}
    for split, names in read_splits(root, SPLITS).items():
        folder = root / ('JPEGImages-test' if split == 'test' else 'JPEGImages-trainval')
        images[split] = [
            read_dior(boxes / f'{name}.xml', folder / f'{name}.jpg', DIOR)
            for name in track(names, len(names), split)
        ]
    return images


def read_all_vhr10(root: Path, seed: int) -> dict[str, list[LabeledImage]]:
    """Draw the splits, and read the images of each.

    Raises:
        FileNotFoundError, ValueError: if a file is wrong; see
            :func:`~mssdf.preparation.benchmarks.coco.read_vhr10`.
        FileExistsError: if another split has been drawn before.
    """
    paths = files_in(root / 'positive image set', '.jpg')
    if not paths:
        raise FileNotFoundError(f'{root / "positive image set"}: expected *.jpg, found none')

    images = {
        path.stem: read_vhr10(root / f'ground truth/{path.stem}.txt', path, NWPU_VHR10)
        for path in track(paths, len(paths), 'images')
    }

    counts = Counter(label for image in images.values() for _, label in image.boxes)
    rarest = {
        name: min((label for _, label in image.boxes), key=counts.__getitem__, default=-1)
        for name, image in images.items()
    }

    ordered = order_by_class(rarest, seed)
    train = take_share(ordered, 0.6)
    rest = {label: [n for n in names if n not in train] for label, names in ordered.items()}
    val = take_share({label: names for label, names in rest.items() if names}, 0.5)
    test = sorted(set(images) - set(train) - set(val))

    lists = dict(train=train, val=val, test=test)
    write_lists(root / 'splits', lists, dict(seed=seed, classes=list(NWPU_VHR10)))
    return {split: [images[name] for name in names] for split, names in lists.items()}


def main(arguments: list[str] | None = None) -> int:
    """Convert; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument('dataset', choices=('dior', 'vhr10'), help='name of the data set')
    parser.add_argument('root', type=Path, help='root of the data set')
    parser.add_argument('--seed', type=int, default=0, help='seed of the split of vhr10')
    args = parser.parse_args(arguments)
    classes = DIOR if args.dataset == 'dior' else NWPU_VHR10

    try:
        if args.dataset == 'dior':
            images = read_all_dior(args.root)
        else:
            images = read_all_vhr10(args.root, args.seed)
        for split, found in images.items():
            content = json.dumps(to_coco(found, classes)).encode()
            write_atomically(args.root / f'annotations/{split}.json', content)
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    for split, found in images.items():
        boxes = sum(len(image.boxes) for image in found)
        print(f'{split:>6}: {len(found)} images, {boxes} boxes')
        for image in found:
            for reason in image.dropped:
                print(f'        left out: {reason}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
