"""Training and validation ground, split by area so that no window of one touches the other."""

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
    """Name the square of ``side`` × ``side`` tiles around a tile."""
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
    """Assign each block to training or validation.

    Blocks are taken for validation in an order that follows from the seed, until they reach the
    share of the area. Earlier assignments are kept. A block that the gap would leave without a
    single window is for training.

    Args:
        tiles: all tiles.
        share: share of the pixels for validation.
        side: side of a block, in tiles.
        seed: seed of the order.
        before: parts of the blocks of an earlier run.
        gap: width in pixels of the gap between the parts.
        window: side of a window in pixels.

    Returns:
        ``'train'`` or ``'val'`` for each block.
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
        # A block goes to validation if that brings the area closer to the wanted share.
        nearer = block in holds and abs(have + area[block] - wanted) < abs(have - wanted)
        parts[block] = VAL if nearer else TRAIN
        have += area[block] if nearer else 0
    return {**before, **parts}


def _inner(tile: Tile, side: int, gap: int) -> Rect:
    """Return the pixels of a tile's block without the gap around it."""
    first = tile.grid.tile_rect(tile.row // side * side, tile.col // side * side)
    edge = side * tile.grid.tile
    return Rect(first.top + gap, first.left + gap, first.top + edge - gap, first.left + edge - gap)


def _draw(block: str, seed: int) -> str:
    return hashlib.sha256(f'{seed}/{block}'.encode()).hexdigest()


def keep_apart(
    tiles: Sequence[Tile], parts: Mapping[str, str], side: int, gap: int
) -> dict[str, Rect]:
    """Cut the tiles of validation so that they stay ``gap`` pixels away from training.

    Args:
        tiles: all tiles.
        parts: parts of the blocks, from :func:`split_blocks`.
        side: side of a block, in tiles.
        gap: width of the gap in pixels.

    Returns:
        Usable pixels by name of the tile; a rectangle may be empty.
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

            # A side that is cut keeps the distance from diagonal neighbors too.
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
    """Find tiles of validation that are close to training in a grid of another CRS."""
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
    """Mark boxes (n, 4) in degrees that touch one (4,), with any whole turn of longitude."""
    met = np.zeros(len(others), dtype=bool)
    for turn in (-360.0, 0.0, 360.0):
        low, high = box[:2] + (turn, 0), box[2:] + (turn, 0)
        met |= ((others[:, :2] <= high) & (others[:, 2:] >= low)).all(axis=1)
    return met


def _degrees(tile: Tile, gap: int) -> Bounds:
    """Compute the box around a tile and its gap in degrees; NaN for a local CRS."""
    if is_local(tile.grid.crs):
        return (np.nan,) * 4
    rect = tile.rect
    wide = Rect(rect.top - gap, rect.left - gap, rect.bottom + gap, rect.right + gap)
    return box_in(tile.grid.crs, DEGREES, tile.grid.bounds(wide))


def load_split(path: Path) -> dict[str, str]:
    """Load the parts of an earlier run; none without a file.

    Raises:
        ValueError: if the file has other content, as parts are also names of folders.
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
    """Save the parts, so that later rasters change none of them."""
    write_atomically(path, json.dumps(dict(sorted(parts.items())), indent=0).encode())
