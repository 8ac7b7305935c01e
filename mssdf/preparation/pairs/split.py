"""Training and validation by area, so that no window of one touches one of the other."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from mssdf.rasters.crs import is_local
from mssdf.utils.atomic_file import write_atomically

from .boxes import Bounds, box_in
from .plan import Tile
from .target_grid import Rect

TRAIN, VAL = 'train', 'val'
DEGREES = CRS.from_epsg(4326).to_wkt()


def block_of(tile: Tile, side: int) -> str:
    """Name of the square of ``side`` × ``side`` tiles that a tile lies in."""
    return f'{tile.grid.code}/{tile.row // side}/{tile.col // side}'


def split_blocks(
    tiles: Sequence[Tile],
    share: float,
    side: int,
    seed: int,
    before: Mapping[str, str],
    *,
    gap: int,
    window: int,
) -> dict[str, str]:
    """Give each block to training or validation.

    Blocks are taken for validation in an order that the seed decides, until they hold the share of
    the area. What was decided before stays. A block that the gap would leave without a single
    window is for training.

    Args:
        tiles: all there are.
        share: of the pixels, for validation.
        side: of a block, in tiles.
        seed: of the order.
        before: blocks and their parts, from an earlier run.
        gap: pixels between the parts.
        window: side of a window in pixels.

    Returns:
        ``'train'`` or ``'val'`` by block.
    """
    area: dict[str, int] = {}
    holds: set[str] = set()
    for tile in tiles:
        height, width = tile.rect.size
        block = block_of(tile, side)
        area[block] = area.get(block, 0) + height * width
        if min((tile.rect & _inner(tile, side, gap)).size) >= window:
            holds.add(block)
    parts = {block: before[block] for block in area if block in before}
    wanted = share * sum(area.values())
    have = sum(area[block] for block, part in parts.items() if part == VAL)
    for block in sorted(set(area) - set(parts), key=lambda block: _draw(block, seed)):
        # a block goes to validation if that brings its area nearer to what is wanted
        nearer = block in holds and abs(have + area[block] - wanted) < abs(have - wanted)
        parts[block] = VAL if nearer else TRAIN
        have += area[block] if nearer else 0
    return {**before, **parts}


def _inner(tile: Tile, side: int, gap: int) -> Rect:
    """The pixels of a tile's block, less the gap all around."""
    first = tile.grid.tile_rect(tile.row // side * side, tile.col // side * side)
    edge = side * tile.grid.tile
    return Rect(first.top + gap, first.left + gap, first.top + edge - gap, first.left + edge - gap)


def _draw(block: str, seed: int) -> str:
    return hashlib.sha256(f'{seed}/{block}'.encode()).hexdigest()


def keep_apart(
    tiles: Sequence[Tile], parts: Mapping[str, str], side: int, gap: int
) -> dict[str, Rect]:
    """The pixels that each tile may use: those of validation stay ``gap`` away from training.

    Args:
        tiles: all there are.
        parts: of :func:`split_blocks`.
        side: of a block, in tiles.
        gap: in pixels.

    Returns:
        By name of the tile; a rectangle may be empty.
    """
    place = {(tile.grid.crs, tile.row, tile.col): parts[block_of(tile, side)] for tile in tiles}
    rects = {}
    for tile in tiles:
        rect = tile.rect
        if place[tile.grid.crs, tile.row, tile.col] == VAL:
            near = {
                (i, j)
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
                if place.get((tile.grid.crs, tile.row + i, tile.col + j)) == TRAIN
            }
            # a side that is cut keeps away from what lies beyond its corners, too
            cut = {(i, j) for i, j in near if not (i and j and near & {(i, 0), (0, j)})}
            whole = tile.grid.tile_rect(tile.row, tile.col)
            rect = rect & Rect(
                whole.top + gap * any(i == -1 for i, _ in cut),
                whole.left + gap * any(j == -1 for _, j in cut),
                whole.bottom - gap * any(i == 1 for i, _ in cut),
                whole.right - gap * any(j == 1 for _, j in cut),
            )
        rects[tile.name] = rect
    for tile in _met_in_another_grid(tiles, parts, side, gap):
        rects[tile.name] = Rect(0, 0, 0, 0)
    return rects


def _met_in_another_grid(
    tiles: Sequence[Tile], parts: Mapping[str, str], side: int, gap: int
) -> list[Tile]:
    """Tiles of validation that come near to training in a grid of another CRS."""
    if len({tile.grid.crs for tile in tiles}) < 2:
        return []
    boxes = np.array([_degrees(tile, gap) for tile in tiles])  # (tiles, 4)
    grids = np.array([tile.grid.crs for tile in tiles])
    train = np.array([parts[block_of(tile, side)] == TRAIN for tile in tiles])
    return [
        tiles[i]
        for i in np.flatnonzero(~train)
        if _meets(boxes[i], boxes[train & (grids != grids[i])]).any()
    ]


def _meets(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark boxes (n, 4) in degrees that touch one (4,), whichever way their longitudes count."""
    met = np.zeros(len(others), dtype=bool)
    for turn in (-360.0, 0.0, 360.0):
        low, high = box[:2] + (turn, 0), box[2:] + (turn, 0)
        met |= ((others[:, :2] <= high) & (others[:, 2:] >= low)).all(axis=1)
    return met


def _degrees(tile: Tile, gap: int) -> Bounds:
    """The box around a tile and its gap, in degrees; NaN for a CRS without a place on the Earth."""
    if is_local(tile.grid.crs):
        return (np.nan,) * 4
    rect = tile.rect
    wide = Rect(rect.top - gap, rect.left - gap, rect.bottom + gap, rect.right + gap)
    return box_in(tile.grid.crs, DEGREES, tile.grid.bounds(wide))


def load_split(path: Path) -> dict[str, str]:
    """The parts of an earlier run; none without a file.

    Raises:
        ValueError: if the file holds something else; parts are names of folders, too.
    """
    if not path.is_file():
        return {}
    try:
        parts = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f'{path}: expected the parts of an earlier run, found {error}') from None
    known = isinstance(parts, dict) and all(part in (TRAIN, VAL) for part in parts.values())
    if not known:
        raise ValueError(
            f'{path}: expected {TRAIN!r} or {VAL!r} for each area, found {str(parts)[:200]}'
        )
    return parts


def save_split(path: Path, parts: Mapping[str, str]) -> None:
    """Keep the parts, so that rasters added later change none of them."""
    write_atomically(path, json.dumps(dict(sorted(parts.items())), indent=0).encode())
