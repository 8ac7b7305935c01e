"""Buildings in the layouts of the detection sets, where three classes represent three sizes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mssdf.datasets.tasks.classes import DIOR, NWPU_VHR10
from mssdf.utils.atomic_file import write_atomically

from ..benchmarks.tiling import starts
from ..image_files import write_png
from .buildings import AnnotatedImage, Box, crop, read_scene

WINDOW = 256
# Names of the classes for small, medium and large buildings.
DIOR_NAMES = ('storagetank', 'tenniscourt', 'stadium')
VHR10_NAMES = ('storage_tank', 'tennis_court', 'ground_track_field')
DOTA_NAMES = ('storage-tank', 'tennis-court', 'soccer-ball-field')
CORNERS = ('left_top', 'right_top', 'right_bottom', 'left_bottom')
# Left, top, width and height of the ground for training and for testing.
GROUNDS = dict(
    train=(('east', 0, 0, 1024, 1024), ('west', 0, 0, 256, 512)),
    test=(('east', 1024, 0, 512, 1024), ('west', 256, 0, 256, 512)),
)


def grounds(source: Path) -> Iterator[tuple[str, AnnotatedImage]]:
    """Yield split and scene of each piece of ground; the pieces do not overlap."""
    for split, pieces in GROUNDS.items():
        for area, left, top, width, height in pieces:
            yield split, crop(read_scene(source, area), left, top, width, height)


def windows(source: Path) -> Iterator[tuple[str, AnnotatedImage]]:
    """Yield split (train, val or test) and scene of each window of 256 px with a building."""
    for ground, scene in grounds(source):
        places = [
            (left, top)
            for top in range(0, scene.image.shape[0], WINDOW)
            for left in range(0, scene.image.shape[1], WINDOW)
        ]
        for number, (left, top) in enumerate(places):
            window = crop(scene, left, top, WINDOW, WINDOW)
            if window.boxes:
                yield 'val' if ground == 'train' and number % 4 == 3 else ground, window


def write_jpg(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image (H, W, 3) in red, green and blue."""
    encoded = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    write_atomically(path, encoded.tobytes())


def write_coco(
    path: Path,
    images: Sequence[tuple[str, AnnotatedImage]],
    classes: Sequence[str],
    names: Sequence[str],
) -> None:
    """Write horizontal boxes as COCO's JSON: all ``classes`` from 1, boxes under ``names``."""
    content: dict[str, list[dict[str, Any]]] = dict(
        images=[],
        annotations=[],
        categories=[dict(id=number, name=name) for number, name in enumerate(classes, 1)],
    )

    for image_id, (file, scene) in enumerate(images, 1):
        height, width = scene.image.shape[:2]
        content['images'].append(dict(id=image_id, file_name=file, width=width, height=height))
        for box in scene.boxes:
            left, top, right, bottom = box.horizontal
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=image_id,
                    category_id=list(classes).index(names[box.label]) + 1,
                    bbox=[left, top, right - left, bottom - top],
                    area=(right - left) * (bottom - top),
                    iscrowd=0,
                )
            )

    write_atomically(path, json.dumps(content).encode())


def write_voc(path: Path, file: str, scene: AnnotatedImage, rotated: bool) -> None:
    """Write the boxes of an image as DIOR's XML."""
    height, width = scene.image.shape[:2]
    objects = ''.join(
        f'<object><name>{DIOR_NAMES[box.label]}</name><difficult>0</difficult>'
        f'{_rotated_xml(box) if rotated else _horizontal_xml(box)}</object>\n'
        for box in scene.boxes
    )
    text = (
        f'<annotation>\n<filename>{file}</filename>\n<source><database>DIOR</database></source>\n'
        f'<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n'
        f'<segmented>0</segmented>\n{objects}</annotation>\n'
    )
    write_atomically(path, text.encode())


def _horizontal_xml(box: Box) -> str:
    pairs = zip(('xmin', 'ymin', 'xmax', 'ymax'), box.horizontal, strict=True)
    return f'<bndbox>{"".join(f"<{key}>{value}</{key}>" for key, value in pairs)}</bndbox>'


def _rotated_xml(box: Box) -> str:
    corners = ''.join(
        f'<{axis}_{name}>{value:.0f}</{axis}_{name}>'
        for name, corner in zip(CORNERS, box.corners, strict=True)
        for axis, value in zip('xy', corner, strict=True)
    )
    return f'<type>robndbox</type><robndbox>{corners}</robndbox>'


def dior(source: Path, out: Path) -> None:
    """Write DIOR's folders with both kinds of boxes, and COCO's JSON of the horizontal ones."""
    images: dict[str, list[tuple[str, AnnotatedImage]]] = dict(train=[], val=[], test=[])
    for split, scene in windows(source):
        number = sum(map(len, images.values())) + 1
        file = f'{number:05d}.jpg'
        images[split].append((file, scene))
        folder = 'JPEGImages-test' if split == 'test' else 'JPEGImages-trainval'
        write_jpg(out / folder / file, scene.image)
        for kind in ('Horizontal', 'Oriented'):
            xml = out / f'Annotations/{kind} Bounding Boxes/{number:05d}.xml'
            write_voc(xml, file, scene, rotated=kind == 'Oriented')
    for split, found in images.items():
        lines = ''.join(f'{Path(file).stem}\n' for file, _ in found)
        write_atomically(out / f'ImageSets/Main/{split}.txt', lines.encode())
        write_coco(out / f'annotations/{split}.json', found, DIOR, DIOR_NAMES)


def nwpu_vhr10(source: Path, out: Path) -> None:
    """Write NWPU VHR-10's folder of images with objects, its text files, and COCO's JSON."""
    images: dict[str, list[tuple[str, AnnotatedImage]]] = dict(train=[], val=[], test=[])
    for split, scene in windows(source):
        number = sum(map(len, images.values())) + 1
        file = f'{number:03d}.jpg'
        images[split].append((file, scene))
        write_jpg(out / 'positive image set' / file, scene.image)
        lines = ''
        for box in scene.boxes:
            left, top, right, bottom = box.horizontal
            label = NWPU_VHR10.index(VHR10_NAMES[box.label]) + 1
            lines += f'({left},{top}),({right},{bottom}),{label}\n'
        write_atomically(out / f'ground truth/{number:03d}.txt', lines.encode())
    for split, found in images.items():
        write_coco(out / f'annotations/{split}.json', found, NWPU_VHR10, VHR10_NAMES)


def dota(source: Path, out: Path, size: int = WINDOW, overlap: int = 64) -> None:
    """Write DOTA in the form of mmrotate's splitter: overlapping tiles named by position.

    Boxes with at least seven tenths inside a tile are kept uncut, and marked difficult (2) if they
    reach beyond it.
    """
    for number, (split, scene) in enumerate(grounds(source), 1):
        height, width = scene.image.shape[:2]
        for left in starts(width, size, size - overlap):
            for top in starts(height, size, size - overlap):
                name = f'P{number:04d}__{size}__{left}___{top}'
                tile = crop(scene, left, top, size, size, least=0.7, cut=False)
                for folder in ('val', 'test') if split == 'test' else ('train',):
                    write_png(out / f'{folder}/images/{name}.png', tile.image)
                    if folder == 'test':  # the boxes of DOTA's test set are not public
                        continue
                    lines = ''.join(_dota_line(box) for box in tile.boxes)
                    write_atomically(out / f'{folder}/annfiles/{name}.txt', lines.encode())


def _dota_line(box: Box) -> str:
    corners = ' '.join(f'{value:.1f}' for value in box.corners.ravel())
    return f'{corners} {DOTA_NAMES[box.label]} {0 if box.inside > 0.999 else 2}\n'
