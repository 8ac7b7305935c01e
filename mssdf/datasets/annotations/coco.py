"""COCO's json of horizontal boxes."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lines import shown

LISTS = ('images', 'annotations', 'categories')
KEYS = dict(
    images=('id', 'file_name', 'width', 'height'),
    annotations=('id', 'image_id', 'category_id', 'bbox', 'area'),
    categories=('id', 'name'),
)
IDS = ('id', 'image_id', 'category_id')
SIZES = ('width', 'height', 'area')
SLACK = 1.0  # pixels by which a box may leave its image


Content = dict[str, list[dict[str, Any]]]


def check_coco(dataset: Any) -> None:
    """Check a json of boxes as mmdet reads it: what it leaves out in silence is named.

    Args:
        dataset: dataset that knows its ``ann_file``, its classes and what it filters.

    Raises:
        ValueError: if an entry does not fit; the error names it and the file.
    """
    path = Path(dataset.ann_file)
    if not path.is_file():  # building tells
        return
    content = read_coco(path, need_boxes=not dataset.test_mode)
    classes = list(dataset.metainfo.get('classes') or ())
    _check_order(path, content['categories'], classes)
    _check_references(path, content)
    _check_boxes(path, content)
    if not dataset.test_mode:
        _check_some_left(path, content, classes, dataset.filter_cfg or {})


def read_coco(path: Path, need_boxes: bool = True) -> Content:
    """Read the three lists and see that each entry has its keys.

    Args:
        path: json file.
        need_boxes: refuse a file without a list of annotations, as images to test on may come.

    Returns:
        The lists ``images``, ``annotations`` and ``categories``.

    Raises:
        ValueError: if the file is no json, lacks a list, or an entry lacks a key or repeats an id.
    """
    try:
        content = json.loads(path.read_bytes().decode())  # as mmdet does: UTF-8 alone
    except json.JSONDecodeError as error:
        raise ValueError(f'{path}: line {error.lineno}: expected JSON, found {error.msg}') from None
    except UnicodeDecodeError:
        raise ValueError(f'{path}: expected UTF-8, found another encoding') from None
    if isinstance(content, dict) and not need_boxes:
        content.setdefault('annotations', [])
    for name in LISTS:
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise ValueError(f'{path}: expected a list {name}, found none')
        _check_entries(path, name, entries)
    return content


def _check_entries(path: Path, name: str, entries: Sequence[Any]) -> None:
    """See that each entry of a list has its keys, numbers where they have to be, and its own id."""
    seen = set()
    for number, entry in enumerate(entries):
        lacking = [key for key in KEYS[name] if not isinstance(entry, dict) or key not in entry]
        if lacking:
            raise ValueError(
                f'{path}: {name}[{number}]: expected the keys {list(KEYS[name])}, found no '
                f'{lacking[0]}'
            )

        for key in SIZES:
            if key in KEYS[name] and not (_is_number(entry[key]) and entry[key] > 0):
                raise ValueError(
                    f'{path}: {name}[{number}]: expected {key} above 0, found {entry[key]!r}'
                )
        for key in IDS:
            if key in KEYS[name] and not isinstance(entry[key], (int, str)):
                raise ValueError(
                    f'{path}: {name}[{number}]: expected {key} as a number, found {entry[key]!r}'
                )

        if entry['id'] in seen:
            raise ValueError(f'{path}: {name}: expected each id once, found {entry["id"]} again')
        seen.add(entry['id'])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _check_order(path: Path, categories: Sequence[dict[str, Any]], classes: Sequence[str]) -> None:
    """See that each class has a category, in the order of the classes: mmdet counts by the file."""
    found = [each['name'] for each in categories if each['name'] in classes]
    lacking = [name for name in classes if name not in found]
    names = shown([str(each['name']) for each in categories]) or 'none'
    if lacking:
        raise ValueError(
            f'{path}: expected a category for each of the {len(classes)} classes, found none of '
            f'{lacking[0]!r} among {names}'
        )
    if found != list(classes):
        raise ValueError(
            f'{path}: expected the categories in the order of the classes ({shown(classes)}), as '
            f'mmdet numbers them by their place, found {shown(found)}'
        )


def _check_references(path: Path, content: Content) -> None:
    for key, name in (('image_id', 'images'), ('category_id', 'categories')):
        known = {entry['id'] for entry in content[name]}
        for entry in content['annotations']:
            if entry[key] not in known:
                ids = shown([str(each) for each in sorted(known, key=str)])
                raise ValueError(
                    f'{path}: annotation {entry["id"]}: expected {key} to be one of the {name} '
                    f'({ids or "none"}), found {entry[key]!r}'
                )


def _check_boxes(path: Path, content: Content) -> None:
    """See that boxes are left, top, width and height in pixels of their image."""
    annotations = content['annotations']
    for entry in annotations:
        box = entry['bbox']
        if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
            raise ValueError(
                f'{path}: annotation {entry["id"]}: expected bbox as 4 numbers, found {box}'
            )
    if not annotations:
        return
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    boxes = np.array([entry['bbox'] for entry in annotations], np.float64)
    limits = np.array([sizes[entry['image_id']] for entry in annotations], np.float64)
    areas = np.array([float(entry['area']) for entry in annotations])
    _check_form(path, boxes, limits, areas)
    _check_sides(path, annotations, boxes, limits)


def _check_form(path: Path, boxes: NDArray, limits: NDArray, areas: NDArray) -> None:
    """Refuse boxes that are all corners, or shares of the image."""
    sides, corners = boxes[:, 2:], boxes[:, 2:] - boxes[:, :2]
    outside = (boxes[:, :2] + sides > limits + SLACK).any(axis=1)
    as_corners = (corners > 0).all() and (boxes[:, 2:] <= limits + SLACK).all()
    tells = np.isclose(areas, corners.prod(axis=1)) & ~np.isclose(areas, sides.prod(axis=1))
    first = boxes[int(np.argmax(outside | tells))].tolist()
    if as_corners and (outside.any() or tells.all()):
        raise ValueError(
            f'{path}: expected bbox as left, top, width and height, found corners: all boxes, such '
            f'as {first}, are left, top, right and bottom'
        )
    if (boxes >= 0).all() and (boxes <= 1).all():
        raise ValueError(
            f'{path}: expected bbox in pixels, found shares of the image: all lie in 0 to 1, such '
            f'as {boxes[0].tolist()}'
        )


def _check_sides(
    path: Path, annotations: Sequence[dict[str, Any]], boxes: NDArray, limits: NDArray
) -> None:
    """Refuse a box without area in its image, which mmdet leaves out."""
    left_top = np.maximum(boxes[:, :2], 0)
    right_bottom = np.minimum(boxes[:, :2] + boxes[:, 2:], limits)
    empty = np.flatnonzero(~(right_bottom > left_top).all(axis=1))
    if len(empty):
        entry, (width, height) = annotations[empty[0]], limits[empty[0]].tolist()
        raise ValueError(
            f'{path}: annotation {entry["id"]}: expected bbox (left, top, width, height) with an '
            f'area in its image of {width:g} x {height:g}, found {entry["bbox"]} '
            f'({len(empty)} such)'
        )


def _check_some_left(
    path: Path,
    content: Content,
    classes: Sequence[str],
    filters: dict[str, Any],
) -> None:
    """See that there is an image with a box to train on."""
    ids = {each['id'] for each in content['categories'] if each['name'] in classes}
    used = {
        each['image_id']
        for each in content['annotations']
        if each['category_id'] in ids and min(each['bbox'][2:]) >= 1  # as mmdet leaves out others
    }
    images = [each for each in content['images'] if each['id'] in used]
    if not images:
        raise ValueError(
            f'{path}: expected boxes of a pixel and more to train on, found none in '
            f'{len(content["images"])} images'
        )
    least = filters.get('min_size', 0)
    if all(min(each['width'], each['height']) < least for each in images):
        raise ValueError(
            f'{path}: expected images of at least {least} pixels (filter_cfg.min_size), found none'
        )
