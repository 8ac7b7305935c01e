"""DIOR's XML: one file of boxes per image, horizontal or oriented."""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from mssdf.utils.safe_xml import read_xml
from mssdf.utils.text_files import read_text


def read_objects(
    xml: Path, tag: str, keys: Sequence[str], names: Sequence[str]
) -> tuple[tuple[int, int], list[tuple[str, tuple[float, ...]]]]:
    """Read the objects of an image.

    Args:
        xml: file.
        tag: of a box, such as ``bndbox``.
        keys: of its numbers, in the order wanted.
        names: that objects may have; lower and upper case are one.

    Returns:
        Width and height as stated (0, 0 if they are not), and each object's name, as in
        ``names``, and numbers.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: for a file that is no XML or defines entities, an unknown name, a box that is
            missing or a number that is none.
    """
    if not xml.is_file():
        raise FileNotFoundError(f'{xml}: no such file')
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


def read_splits(root: Path, splits: Sequence[str]) -> dict[str, list[str]]:
    """Names of the images of each split, from ``ImageSets/Main``.

    Raises:
        FileNotFoundError: if a list is missing.
        ValueError: for an empty list, or a name that is in two places.
    """
    names: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for split in splits:
        listed = root / f'ImageSets/Main/{split}.txt'
        if not listed.is_file():
            raise FileNotFoundError(f'{listed}: no such file')
        names[split] = read_text(listed).split()
        if not names[split]:
            raise ValueError(f'{listed}: expected names of images, found none')
        for name in names[split]:
            if name in seen:
                raise ValueError(
                    f'{listed}: expected each image once, found {name} in {seen[name]}.txt too'
                )
            seen[name] = split
    return names
