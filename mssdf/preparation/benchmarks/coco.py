"""Boxes of DIOR and NWPU VHR-10 as COCO's JSON."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from mssdf.datasets.annotations.xml_boxes import read_objects
from mssdf.errors import FileError, MissingFileError, Words
from mssdf.utils.text_files import read_lines

CORNER = r'\(\s*(-?\d+)\s*,\s*(-?\d+)\s*\)'
VHR10_LINE = re.compile(rf'{CORNER}\s*,\s*{CORNER}\s*,\s*(\d+)')

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass
class LabeledImage:
    """An image with its boxes.

    Attributes:
        file: name of the image in the data set's folder.
        width, height: size in pixels.
        boxes: left, top, right and bottom in pixels, and the index of the class.
        dropped: reasons for the boxes that were left out.
    """

    file: str
    width: int
    height: int
    boxes: list[tuple[Box, int]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def add(self, box: Box, label: int) -> None:
        """Add a box, cut to the image; a box without area is dropped."""
        left, top = max(box[0], 0.0), max(box[1], 0.0)
        right, bottom = min(box[2], float(self.width)), min(box[3], float(self.height))
        if right <= left or bottom <= top:
            self.dropped.append(f'{self.file}: no area in the image: {box}')
        else:
            self.boxes.append(((left, top, right, bottom), label))


def read_dior(xml: Path, image: Path, classes: Sequence[str]) -> LabeledImage:
    """Read the horizontal boxes of an image from DIOR's XML.

    Raises:
        FileNotFoundError: if the XML or the image is missing.
        ValueError: if the XML is not an annotation, a number is malformed, the size is not the
            image's, or a class is unknown.
    """
    height, width = image_size(image)
    stated, objects = read_objects(xml, 'bndbox', ('xmin', 'ymin', 'xmax', 'ymax'), classes)
    if stated != (width, height):
        raise ValueError(
            f'{xml}: expected width and height {(width, height)} as of {image.name}, found {stated}'
        )
    result = LabeledImage(image.name, width, height)
    for name, (left, top, right, bottom) in objects:
        result.add((left, top, right, bottom), list(classes).index(name))
    return result


def read_vhr10(text: Path, image: Path, classes: Sequence[str]) -> LabeledImage:
    """Read the boxes of an image from NWPU VHR-10's lines ``(x1,y1),(x2,y2),class``.

    Raises:
        FileNotFoundError: if the text or the image is missing.
        ValueError: if a line has another form, or a class is unknown.
    """
    if not text.is_file():
        raise MissingFileError(text, f'a file to go with {image.name}')
    height, width = image_size(image)
    result = LabeledImage(image.name, width, height)
    for number, line in read_lines(text):
        match = VHR10_LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f'{text}: line {number}: expected (x1,y1),(x2,y2),class, found {line!r}'
            )
        left, top, right, bottom, label = map(int, match.groups())
        if not 1 <= label <= len(classes):
            raise ValueError(
                f'{text}: line {number}: expected a class from 1 to {len(classes)}, found {label}'
            )
        result.add((left, top, right, bottom), label - 1)
    return result


def image_size(path: Path) -> tuple[int, int]:
    """Read the height and width of an image.

    Raises:
        FileNotFoundError, ValueError: if the file is missing or not an image.
    """
    if not path.is_file():
        raise MissingFileError(path, 'a file')
    try:
        image = cv2.imread(str(path))
    except cv2.error as error:  # the image is larger than OpenCV reads
        raise FileError(path, 'an image', Words(error.err)) from None
    if image is None:
        raise FileError(path, 'an image', Words('another file'))
    return image.shape[0], image.shape[1]


def to_coco(images: Iterable[LabeledImage], classes: Sequence[str]) -> dict[str, list[Any]]:
    """Make COCO's dictionary: categories from 1 in the order of the classes, boxes as xywh."""
    content: dict[str, list[Any]] = dict(
        images=[],
        annotations=[],
        categories=[dict(id=label, name=name) for label, name in enumerate(classes, 1)],
    )

    for number, image in enumerate(images, 1):
        content['images'].append(
            dict(id=number, file_name=image.file, width=image.width, height=image.height)
        )
        for (left, top, right, bottom), label in image.boxes:
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=number,
                    category_id=label + 1,
                    bbox=[left, top, right - left, bottom - top],
                    area=(right - left) * (bottom - top),
                    iscrowd=0,
                )
            )

    return content
