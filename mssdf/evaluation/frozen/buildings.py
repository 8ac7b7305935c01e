"""Chips of web mercator tiles with masks drawn from outlines of buildings."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mssdf.errors import FileError, Words
from mssdf.preparation.examples.buildings import ZOOM, to_pixels
from mssdf.utils.folders import files_in
from mssdf.utils.text_files import read_text

from ..labeled_images import SUFFIXES, read_rgb
from .cutting import Layers

TILE = 256  # side of a web mercator tile in pixels
GROUND_ZOOM = 19  # all chips within one tile of this zoom, of any zoom, are one group
FRACTION = 4  # fractional bits of the coordinates of drawn outlines
ZOOM_FIRST = re.compile(r'(\d{1,2})-(\d+)-(\d+)')  # ZOOM-X-Y
ZOOM_LAST = re.compile(r'\D*-?(\d+)-(\d+)-(\d{1,2})')  # OAM-X-Y-ZOOM


Rings = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Chip:
    """A chip with the outlines of its place.

    Attributes:
        path: path of the image.
        zoom: zoom of its web mercator tile.
        x: column of the tile.
        y: row of the tile.
        group: number of the ground that the chip shows.
        outlines: polygons in degrees, each a list of rings (N, 2): the outer ring, then holes.
    """

    path: Path
    zoom: int
    x: int
    y: int
    group: int
    outlines: list[Rings]


def building_chips(folder: Path) -> Iterator[Chip]:
    """List the chips of a folder with ``labels.geojson``, sorted by the ground they show.

    Raises:
        ValueError: if there are no labels or no chips, a chip's name does not give a tile, or a
            label is not a polygon.
    """
    labels = folder / 'labels.geojson'
    if not labels.is_file():
        raise ValueError(f'{labels}: expected outlines of buildings, found none')
    outlines = read_polygons(labels)
    tiles = {path: tile_of(path) for path in files_in(folder) if path.suffix.lower() in SUFFIXES}
    if not tiles:
        raise ValueError(f'{folder}: expected chips named after their tiles, found none')
    grounds = {path: _ground(*tile) for path, tile in tiles.items()}
    numbers = {ground: number for number, ground in enumerate(sorted(set(grounds.values())))}
    for path in sorted(tiles, key=lambda path: (grounds[path], tiles[path])):
        zoom, x, y = tiles[path]
        yield Chip(path, zoom, x, y, numbers[grounds[path]], outlines)


def read_polygons(path: Path) -> list[Rings]:
    """Read the polygons of a GeoJSON file; those of a MultiPolygon come one by one.

    Features without a geometry are skipped.

    Raises:
        ValueError: if the file is not a collection of polygons.
    """
    try:
        features = json.loads(read_text(path))['features']
        shapes = [one['geometry'] for one in features]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: expected a FeatureCollection, found: {error!r}') from None

    found: list[Rings] = []
    for number, shape in enumerate(shapes):
        if shape is None:
            continue
        kind = shape.get('type')
        if kind not in ('Polygon', 'MultiPolygon'):
            raise ValueError(f'{path}: feature {number}: expected polygons, found {kind}')

        parts = [shape['coordinates']] if kind == 'Polygon' else shape['coordinates']
        try:
            found += [[np.array(ring, float)[:, :2] for ring in part] for part in parts if part]
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f'{path}: feature {number}: expected rings of coordinates, found: {error}'
            ) from None

    return found


def tile_of(path: Path) -> tuple[int, int, int]:
    """Read zoom, column and row of a tile from the name of its chip.

    Raises:
        ValueError: if the name does not give a tile.
    """
    first, last = ZOOM_FIRST.fullmatch(path.stem), ZOOM_LAST.fullmatch(path.stem)
    if first and int(first[1]) <= 23:
        zoom, x, y = (int(number) for number in first.groups())
    elif last:
        x, y, zoom = (int(number) for number in last.groups())
    else:
        raise FileError(
            path, 'a name ZOOM-X-Y or X-Y-ZOOM of a web mercator tile', Words(repr(Path(path).stem))
        )
    return zoom, x, y


def chip_layers(chip: Chip) -> Layers:
    """Read a chip and draw its buildings as 1 on a mask of 0."""
    rgb = read_rgb(chip.path)
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    corner = np.array([chip.x, chip.y]) * TILE
    for rings in chip.outlines:
        # Outlines come in pixels of one zoom; OpenCV has pixel centers at whole numbers.
        places = [to_pixels(ring) * 2.0 ** (chip.zoom - ZOOM) - corner for ring in rings]
        places = [place * [width / TILE, height / TILE] - 0.5 for place in places]
        outer = places[0]
        if (outer.max(axis=0) >= 0).all() and (outer.min(axis=0) < [width, height]).all():
            points = [np.round(place * 2**FRACTION).astype(np.int32) for place in places]
            cv2.fillPoly(mask, points, 1, shift=FRACTION)  # rings within rings are holes
    return Layers(rgb, np.ones((height, width), bool), mask.astype(np.int64))


def _ground(zoom: int, x: int, y: int) -> tuple[int, int]:
    """Return the tile of ``GROUND_ZOOM`` around a tile, or its first one for smaller zooms."""
    step = zoom - GROUND_ZOOM
    return (x >> step, y >> step) if step >= 0 else (x << -step, y << -step)
