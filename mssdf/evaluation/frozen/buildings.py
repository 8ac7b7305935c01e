"""Chips of web mercator tiles with outlines of buildings as masks."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mssdf.datasets.examples.buildings import ZOOM, to_pixels

from ..labelled_images import SUFFIXES, read_rgb
from .cutting import Layers

TILE = 256  # pixels of a web mercator tile
GROUND_ZOOM = 19  # chips of one tile of this zoom, of whatever zoom, are of one group
FRACTION = 4  # bits below a pixel when outlines are drawn
ZOOM_FIRST = re.compile(r'(\d{1,2})-(\d+)-(\d+)')  # ZOOM-X-Y
ZOOM_LAST = re.compile(r'\D*-?(\d+)-(\d+)-(\d{1,2})')  # OAM-X-Y-ZOOM


@dataclass(frozen=True)
class Chip:
    """A chip and the outlines of its place.

    Attributes:
        path: file of the image.
        zoom: zoom of its web mercator tile.
        x: column of the tile.
        y: row of the tile.
        group: number of the ground that it shows.
        outlines: polygons in degrees, each (N, 2).
    """

    path: Path
    zoom: int
    x: int
    y: int
    group: int
    outlines: list[NDArray[np.float64]]


def building_chips(folder: Path) -> Iterator[Chip]:
    """List the chips of a folder with ``labels.geojson``, sorted by the ground they show.

    Raises:
        ValueError: if there are no labels, no chips, or a chip's name tells no tile.
    """
    labels = folder / 'labels.geojson'
    if not labels.is_file():
        raise ValueError(f'{labels}: expected outlines of buildings, found none')
    features = json.loads(labels.read_text())['features']
    outlines = [np.array(one['geometry']['coordinates'][0])[:, :2] for one in features]
    tiles = {
        path: tile_of(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES
    }
    if not tiles:
        raise ValueError(f'{folder}: expected chips named after their tiles, found none')
    grounds = {path: _ground(*tile) for path, tile in tiles.items()}
    numbers = {ground: number for number, ground in enumerate(sorted(set(grounds.values())))}
    for path in sorted(tiles, key=lambda path: (grounds[path], tiles[path])):
        zoom, x, y = tiles[path]
        yield Chip(path, zoom, x, y, numbers[grounds[path]], outlines)


def tile_of(path: Path) -> tuple[int, int, int]:
    """Zoom, column and row of the tile that a chip is named after.

    Raises:
        ValueError: if its name tells none.
    """
    first, last = ZOOM_FIRST.fullmatch(path.stem), ZOOM_LAST.fullmatch(path.stem)
    if first and int(first[1]) <= 23:
        zoom, x, y = (int(number) for number in first.groups())
    elif last:
        x, y, zoom = (int(number) for number in last.groups())
    else:
        raise ValueError(f'{path}: expected a name ZOOM-X-Y or X-Y-ZOOM of a web mercator tile')
    return zoom, x, y


def chip_layers(chip: Chip) -> Layers:
    """Read a chip and draw the buildings on it: 1, and 0 elsewhere."""
    rgb = read_rgb(chip.path)
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    corner = np.array([chip.x, chip.y]) * TILE
    for outline in chip.outlines:
        # outlines come in pixels of one zoom; pixel centers are at whole numbers when drawn
        place = to_pixels(outline) * 2.0 ** (chip.zoom - ZOOM) - corner
        place = place * [width / TILE, height / TILE] - 0.5
        points = np.round(place * 2**FRACTION).astype(np.int32)
        if (points.max(axis=0) >= 0).all() and (place.min(axis=0) < [width, height]).all():
            cv2.fillPoly(mask, [points], 1, shift=FRACTION)
    return Layers(rgb, np.ones((height, width), bool), mask.astype(np.int64))


def _ground(zoom: int, x: int, y: int) -> tuple[int, int]:
    """The tile of ``GROUND_ZOOM`` that a tile lies in, or its first one for smaller zooms."""
    step = zoom - GROUND_ZOOM
    return (x >> step, y >> step) if step >= 0 else (x << -step, y << -step)
