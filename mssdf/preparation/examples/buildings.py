"""Scenes of buildings with their outlines, and boxes around their parts in a window."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ZOOM, CHIP = 20, 256
METERS = 2 * math.pi * 6378137 / (CHIP * 2**ZOOM)  # meters per pixel at the equator
# Column and row of the first chip, numbers of columns and rows of chips.
AREAS = dict(east=(619224, 523264, 6, 4), west=(619212, 523272, 2, 2))
# Largest footprints (m2) of the first and the second class; larger buildings are in the third.
SIZES = (35.0, 150.0)


@dataclass(frozen=True)
class Box:
    """A building in an image, with the corners (4, 2) of the smallest rotated box in pixels."""

    corners: NDArray[np.float32]
    outline: NDArray[np.float32]  # (N, 2)
    label: int
    inside: float = 1.0  # share of the building inside the image

    @property
    def horizontal(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the horizontal box."""
        left, top = np.floor(self.outline.min(axis=0)).astype(int)
        right, bottom = np.ceil(self.outline.max(axis=0)).astype(int)
        return int(left), int(top), int(right), int(bottom)


@dataclass(frozen=True)
class AnnotatedImage:
    """An image (H, W, 3) in red, green and blue, with its buildings."""

    image: NDArray[np.uint8]
    boxes: list[Box]


def read_scene(source: Path, area: str) -> AnnotatedImage:
    """Join the chips of an area, with boxes around its buildings.

    Args:
        source: folder of the imagery that ships.
        area: name in ``AREAS``.
    """
    image = read_mosaic(source, area)
    boxes = []
    for outline in read_outlines(source, area):
        label = int(np.searchsorted(SIZES, area_of(outline) * METERS**2))
        boxes.append(box_of(outline, label))
    scene = AnnotatedImage(image, boxes)
    return crop(scene, 0, 0, image.shape[1], image.shape[0])


def read_mosaic(source: Path, area: str) -> NDArray[np.uint8]:
    """Join the chips of an area.

    Args:
        source: folder of the imagery that ships.
        area: name in ``AREAS``.

    Returns:
        Image (H, W, 3) in red, green and blue.
    """
    folder = source / 'buildings_kampala'
    column, row, columns, rows = AREAS[area]
    lines = [
        [read_chip(folder / f'{ZOOM}-{column + x}-{row + y}.jpg') for x in range(columns)]
        for y in range(rows)
    ]
    return np.concatenate([np.concatenate(line, axis=1) for line in lines], axis=0)


def read_outlines(source: Path, area: str) -> Iterator[NDArray[np.float64]]:
    """Read the outlines of all buildings, inside or outside an area, in pixels of its mosaic.

    Args:
        source: folder of the imagery that ships.
        area: name in ``AREAS``.

    Yields:
        Corners (N, 2) of each building, columns first.
    """
    column, row, *_ = AREAS[area]
    labels = source / 'buildings_kampala/labels.geojson'
    for feature in json.loads(labels.read_text())['features']:
        degrees = np.array(feature['geometry']['coordinates'][0])[:-1, :2]
        yield to_pixels(degrees) - np.array([column, row]) * CHIP


def read_chip(path: Path) -> NDArray[np.uint8]:
    """Read a chip as red, green and blue (H, W, 3).

    Raises:
        FileNotFoundError: if the file does not exist.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f'{path}: expected an image, found none')
    return image[..., ::-1].astype(np.uint8)


def to_pixels(degrees: NDArray) -> NDArray[np.float64]:
    """Convert longitude and latitude (N, 2) to pixels of the whole web mercator map."""
    longitude, latitude = np.radians(degrees).T
    x = (longitude + np.pi) / (2 * np.pi)
    y = (1 - np.arcsinh(np.tan(latitude)) / np.pi) / 2
    return np.stack([x, y], axis=1) * CHIP * 2**ZOOM


def area_of(polygon: NDArray) -> float:
    """Compute the area of a polygon (N, 2) by the shoelace formula."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def clip(polygon: NDArray, width: float, height: float) -> NDArray:
    """Clip a polygon (N, 2) to 0 ... width and 0 ... height (Sutherland and Hodgman)."""
    for axis, limit, sign in ((0, 0.0, 1), (0, width, -1), (1, 0.0, 1), (1, height, -1)):
        kept: list[NDArray] = []
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            before, after = sign * (start[axis] - limit), sign * (end[axis] - limit)
            if before >= 0:
                kept.append(start)
            if before * after < 0:
                kept.append(start + (end - start) * before / (before - after))
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def box_of(outline: NDArray, label: int, inside: float = 1.0) -> Box:
    """Find the smallest rotated box around an outline."""
    points = outline.astype(np.float32)
    return Box(cv2.boxPoints(cv2.minAreaRect(points)), points, label, inside)


def crop(
    scene: AnnotatedImage,
    left: int,
    top: int,
    width: int,
    height: int,
    least: float = 0.3,
    cut: bool = True,
) -> AnnotatedImage:
    """Crop a window from a scene.

    Args:
        scene: scene to crop.
        left: first column in pixels.
        top: first row in pixels.
        width: width of the window in pixels.
        height: height of the window in pixels.
        least: smallest share inside the window of a building that is kept.
        cut: whether a box surrounds the part inside; else boxes stay as they are.
    """
    boxes = []
    for box in scene.boxes:
        outline = box.outline - np.array([left, top], np.float32)
        part = clip(outline, width, height)
        inside = area_of(part) / area_of(outline) if len(part) > 2 else 0.0
        if inside >= least:
            boxes.append(box_of(part if cut else outline, box.label, inside))
    return AnnotatedImage(scene.image[top : top + height, left : left + width], boxes)
