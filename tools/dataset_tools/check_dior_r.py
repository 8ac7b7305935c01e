"""Check DIOR-R, which mmrotate reads in its published form, before hours of training."""

import argparse
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from mssdf.datasets.annotations.xml_boxes import read_objects
from mssdf.datasets.tasks.classes import DIOR
from mssdf.preparation.benchmarks.coco import image_size
from mssdf.preparation.benchmarks.voc import read_splits
from mssdf.utils.progress import track

EPILOG = """\
expected layout:
  ROOT/ImageSets/Main/{train,val,test}.txt              names without ending, each once
  ROOT/Annotations/Oriented Bounding Boxes/00001.xml    robndbox: x_left_top, y_left_top, ...
  ROOT/JPEGImages-trainval/00001.jpg, ROOT/JPEGImages-test/...

writes nothing; prints the objects of each class.

example:
  python tools/dataset_tools/check_dior_r.py data/dior
"""
SPLITS = ('train', 'val', 'test')
CORNERS = ('left_top', 'right_top', 'right_bottom', 'left_bottom')
KEYS = tuple(f'{axis}_{corner}' for corner in CORNERS for axis in 'xy')


def check_image(root: Path, split: str, name: str) -> tuple[list[str], list[str]]:
    """Return the classes of an image's objects, and irregularities.

    Raises:
        FileNotFoundError: if the image or its XML is missing.
        ValueError: if mmrotate cannot read the XML, or it belongs to another image.
    """
    folder = 'JPEGImages-test' if split == 'test' else 'JPEGImages-trainval'
    height, width = image_size(root / folder / f'{name}.jpg')
    xml = root / f'Annotations/Oriented Bounding Boxes/{name}.xml'
    stated, objects = read_objects(xml, 'robndbox', KEYS, DIOR)
    if stated not in ((0, 0), (width, height)):
        raise ValueError(
            f'{xml}: expected width and height {(width, height)} as of {name}.jpg, found {stated}'
        )
    odd = []
    for label, numbers in objects:
        corners = np.array(numbers, np.float32).reshape(4, 2)
        middle = corners.mean(axis=0)
        if cv2.contourArea(corners) <= 0:
            odd.append(f'{xml.name}: {label} without area: {numbers}')
        elif not ((middle >= 0) & (middle <= (width, height))).all():
            odd.append(f'{xml.name}: {label} with its middle outside of the image: {numbers}')
    return [label for label, _ in objects], odd


def main(arguments: list[str] | None = None) -> int:
    """Check the data set; return 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='root of the data set')
    args = parser.parse_args(arguments)

    counts = {split: Counter[str]() for split in SPLITS}
    odd: list[str] = []
    try:
        splits = read_splits(args.root, SPLITS)
        for split, names in splits.items():
            for name in track(names, len(names), split):
                labels, found = check_image(args.root, split, name)
                counts[split].update(labels)
                odd += found
    except (OSError, ValueError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2

    print(f'{"":<26}' + ''.join(f'{split:>8}' for split in SPLITS))
    print(f'{"images":<26}' + ''.join(f'{len(splits[split]):>8}' for split in SPLITS))
    for label in DIOR:
        print(f'{label:<26}' + ''.join(f'{counts[split][label]:>8}' for split in SPLITS))
    for line in odd:
        print(f'odd: {line}')

    return 0


if __name__ == '__main__':
    sys.exit(main())
