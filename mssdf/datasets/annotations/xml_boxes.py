"""XML of DIOR and DIOR-R: one file of boxes per image, horizontal or oriented."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from mssdf.errors import MissingFileError
from mssdf.utils.safe_xml import read_xml

from .lines import read_lines

CORNERS = ('left_top', 'right_top', 'right_bottom', 'left_bottom')
BOXES = dict(
    obb=('robndbox', tuple(f'{axis}_{corner}' for corner in CORNERS for axis in 'xy')),
    hbb=('bndbox', ('xmin', 'ymin', 'xmax', 'ymax')),
)


def check_xml(dataset: Any) -> None:
    """Check the XML of all images that a dataset lists.

    Args:
        dataset: mmrotate's ``DIORDataset``.

    Raises:
        FileNotFoundError: if an XML is missing.
        ValueError: if an object does not fit; the error names the file.
    """
    listed = Path(dataset.ann_file)
    tag, keys = BOXES[dataset.ann_type]
    folder = Path(dataset.data_root or '', dataset.ann_subdir)
    for number, name in enumerate(read_lines(listed), 1):
        if not name.strip():
            raise ValueError(f'{listed}: line {number}: expected the name of an image, found none')
        read_objects(folder / f'{name}.xml', tag, keys, tuple(dataset.metainfo['classes']))


def read_objects(
    xml: Path, tag: str, keys: Sequence[str], names: Sequence[str]
) -> tuple[tuple[int, int], list[tuple[str, tuple[float, ...]]]]:
    """Read the objects of an image.

    Args:
        xml: file.
        tag: name of the element of a box, such as ``bndbox``.
        keys: names of the elements of its numbers, in the order wanted.
        names: classes that objects may have; lower and upper case are one.

    Returns:
        Width and height as stated (0, 0 if they are not), and each object's name, as in
        ``names``, and numbers.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: for a file that is no XML or defines entities, an unknown name, a box that is
            missing or a number that is none.
    """
    if not xml.is_file():
        raise MissingFileError(xml, 'a file')
    root = read_xml(xml)
    known = {name.lower(): name for name in names}
    objects = []
    for item in root.iter('object'):
        name = (item.findtext('name') or '').strip()
        if name.lower() not in known:
            raise ValueError(f'{xml}: expected one of {list(names)}, found {name!r}')
        box = item.find(tag)
        if box is None:
            raise ValueError(f'{xml}: expected a {tag} of each object, found none of {name!r}')
        numbers = tuple(_number(xml, box, key) for key in keys)
        objects.append((known[name.lower()], numbers))
    size = root.find('size')
    if size is None:
        return (0, 0), objects
    return (int(_number(xml, size, 'width')), int(_number(xml, size, 'height'))), objects


def _number(xml: Path, item: Element, key: str) -> float:
    text = item.findtext(key)
    try:
        value = float(text or '')
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f'{xml}: {item.tag}/{key}: expected a number, found {text!r}')
    return value
