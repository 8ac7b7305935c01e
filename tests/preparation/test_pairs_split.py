"""Training and validation on boards of tiles laid by hand, against distances of pixels."""

from itertools import product

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.warp import transform

from mssdf.preparation.pairs.plan import Tile
from mssdf.preparation.pairs.split import block_of, keep_apart, load_split, save_split, split_blocks
from mssdf.preparation.pairs.target_grid import Rect, TargetGrid

SIDE = 10  # pixels of a tile


def grid_of(epsg: int, anchor=(0.0, 0.0), tile: int = SIDE) -> TargetGrid:
    return TargetGrid(CRS.from_epsg(epsg).to_wkt(), 1.0, anchor, tile)


def tile_at(row: int, col: int, grid: TargetGrid | None = None, rect: Rect | None = None) -> Tile:
    grid = grid or grid_of(32633)
    name = f'{grid.code}_{row}_{col}'
    return Tile(name, grid, row, col, rect or grid.tile_rect(row, col), {})


def board(rows: int, cols: int) -> list[Tile]:
    return [tile_at(row, col) for row, col in product(range(rows), range(cols))]


def parts_of(tiles, drawing: str, side: int = 1) -> dict[str, str]:
    """Parts of the blocks from a drawing: ``v`` for validation, ``t`` for training."""
    lines = drawing.split()
    return {
        block_of(t, side): dict(v='val', t='train')[lines[t.row // side][t.col // side]]
        for t in tiles
    }


def usable(drawing: str, row: int, col: int, gap: int = 3, side: int = 1) -> tuple[int, ...]:
    """Edges of what a tile may use, relative to itself."""
    lines = drawing.split()
    tiles = [
        tile
        for tile in board(len(lines) * side, len(lines[0]) * side)
        if lines[tile.row // side][tile.col // side] != '.'
    ]
    parts = parts_of(tiles, drawing, side)
    rect = keep_apart(tiles, parts, side, gap)[f'epsg32633_{row}_{col}']
    top, left = row * SIDE, col * SIDE
    return rect.top - top, rect.left - left, rect.bottom - top, rect.right - left


@pytest.mark.parametrize(
    ('drawing', 'edges'),
    [
        ('vvv vvv vvv', (0, 0, 10, 10)),
        ('vtv vvv vvv', (3, 0, 10, 10)),
        ('vvv tvv vvv', (0, 3, 10, 10)),
        ('vvv vvt vvv', (0, 0, 10, 7)),
        ('vvv vvv vtv', (0, 0, 7, 10)),
        ('ttt tvt ttt', (3, 3, 7, 7)),
        ('ttt vvv vvv', (3, 0, 10, 10)),
        ('vvt vvt ttt', (0, 0, 7, 7)),
        # only a corner is met
        ('tvv vvv vvv', (3, 3, 10, 10)),
        ('vvt vvv vvv', (3, 0, 10, 7)),
        ('vvv vvv tvv', (0, 3, 7, 10)),
        ('vvv vvv vvt', (0, 0, 7, 7)),
        ('... .v. ..t', (0, 0, 7, 7)),
        # training gives nothing away
        ('vvv vtv vvv', (0, 0, 10, 10)),
    ],
)
def test_validation_stays_away_from_training_at_sides_and_corners(drawing, edges):
    assert usable(drawing, 1, 1) == edges


def test_a_block_of_several_tiles_is_cut_along_its_own_edge_alone():
    drawing = 'tvv vvv'
    assert usable(drawing, 1, 2, side=2) == (0, 3, 10, 10)
    assert usable(drawing, 2, 2, side=2) == (3, 3, 10, 10)
    assert usable(drawing, 2, 1, side=2) == (3, 0, 10, 10)
    assert usable(drawing, 1, 3, side=2) == (0, 0, 10, 10)
    assert usable(drawing, 3, 3, side=2) == (0, 0, 10, 10)


@pytest.mark.parametrize('seed', range(5))
def test_no_pixel_of_validation_is_nearer_than_the_gap(seed):
    gap, side, rows, cols = 4, 2, 8, 10
    rng = np.random.default_rng(seed)
    tiles = [tile for tile in board(rows, cols) if rng.random() > 0.2]
    blocks = {block_of(tile, side) for tile in tiles}
    parts = {block: str(rng.choice(['train', 'val'])) for block in sorted(blocks)}
    rects = keep_apart(tiles, parts, side, gap)
    marked = {part: np.zeros((rows * SIDE, cols * SIDE), dtype=bool) for part in ('train', 'val')}
    for tile in tiles:
        rect, part = rects[tile.name], parts[block_of(tile, side)]
        if 0 not in rect.size:
            marked[part][rect.top : rect.bottom, rect.left : rect.right] = True
        if part == 'train':
            assert rect == tile.rect
    train = np.argwhere(marked['train'])
    assert marked['val'].any()
    for place in np.argwhere(marked['val']):
        assert np.abs(train - place).max(axis=1).min() > gap  # as many pixels lie between


def test_a_cut_tile_is_cut_from_the_edge_of_the_whole_one():
    part = Rect(10, 12, 20, 18)
    tiles = [tile_at(1, 0), tile_at(1, 1, rect=part & Rect(10, 10, 20, 20))]
    parts = {block_of(tiles[0], 1): 'train', block_of(tiles[1], 1): 'val'}
    assert keep_apart(tiles, parts, 1, 1)[tiles[1].name] == Rect(10, 12, 20, 18)
    assert keep_apart(tiles, parts, 1, 5)[tiles[1].name] == Rect(10, 15, 20, 18)


def beside(east: float, gap: int, part: str = 'train') -> Rect:
    """A tile of validation in zone 32 that lies so many meters east of one in zone 33."""
    (x,), (y,) = transform('EPSG:4326', 'EPSG:32633', [12.0], [48.0])
    training = tile_at(0, 0, grid_of(32633, (x, y), 100))
    (x,), (y,) = transform('EPSG:4326', 'EPSG:32632', [12.0], [48.0])
    tested = tile_at(0, 0, grid_of(32632, (x + east, y), 100))
    parts = {block_of(training, 1): part, block_of(tested, 1): 'val'}
    rects = keep_apart([training, tested], parts, 1, gap)
    assert rects[training.name] == training.rect
    return rects[tested.name]


def test_validation_stays_away_from_training_in_another_crs():
    assert 0 in beside(0, 0).size  # on it
    assert 0 in beside(130, 30).size  # less than the gap away
    assert 0 in beside(-130, 30).size
    assert beside(300, 30).size == (100, 100)
    assert beside(-300, 30).size == (100, 100)
    assert beside(0, 30, 'val').size == (100, 100)  # as much validation as itself


def test_the_same_place_in_two_crs_does_not_cut_by_rows_and_columns_of_the_other():
    """Tiles with the same numbers in different grids are no neighbors."""
    far = tile_at(0, 1, grid_of(32632, (500_000.0, 5_000_000.0)))
    near = tile_at(0, 0, grid_of(32633, (500_000.0, 5_000_000.0)))
    parts = {block_of(far, 1): 'train', block_of(near, 1): 'val'}
    assert keep_apart([near, far], parts, 1, 3)[near.name].size == (SIDE, SIDE)


@pytest.mark.parametrize('share', [0.0, 0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize('seed', [0, 1])
def test_the_share_of_equal_blocks_is_met_exactly(share, seed):
    parts = split_blocks(board(20, 20), share, 2, seed, {}, gap=1, window=4)
    assert len(parts) == 100
    assert sum(part == 'val' for part in parts.values()) == round(share * 100)


def test_the_share_is_of_pixels():
    """A few large blocks and many small ones: the area is met to half a block."""
    rng = np.random.default_rng(0)
    tiles = []
    for tile in board(30, 30):
        height, width = rng.integers(5, 11, 2)
        top, left = tile.rect.top, tile.rect.left
        tiles.append(tile_at(tile.row, tile.col, rect=Rect(top, left, top + height, left + width)))
    for share in (0.1, 0.3):
        parts = split_blocks(tiles, share, 1, 5, {}, gap=0, window=1)
        area = {tile.name: tile.rect.size[0] * tile.rect.size[1] for tile in tiles}
        val = sum(area[tile.name] for tile in tiles if parts[block_of(tile, 1)] == 'val')
        assert abs(val - share * sum(area.values())) <= 50


def test_the_seed_decides_and_nothing_else():
    tiles = board(20, 20)
    chosen = [
        split_blocks(order, 0.2, 2, seed, {}, gap=1, window=4)
        for seed, order in ((0, tiles), (0, tiles[::-1]), (1, tiles))
    ]
    assert chosen[0] == chosen[1] != chosen[2]


def test_what_was_decided_stays_and_counts():
    small, large = board(10, 10), board(20, 20)
    before = split_blocks(small, 0.5, 2, 0, {}, gap=1, window=4)
    after = split_blocks(large, 0.2, 2, 0, before, gap=1, window=4)
    assert {block: after[block] for block in before} == before
    assert sum(part == 'val' for part in after.values()) == 20
    gone = split_blocks(small, 0.2, 2, 0, after, gap=1, window=4)
    assert gone == after  # rasters that are away keep their parts


@pytest.mark.parametrize(('gap', 'window', 'fits'), [(3, 14, True), (3, 15, False), (4, 13, False)])
def test_a_block_that_the_gap_leaves_without_a_window_is_for_training(gap, window, fits):
    """Blocks of 2 × 2 tiles are 20 pixels wide; tiles of less than a window hold none."""
    tiles = [
        Tile(f'{row}_{col}', grid, row, col, grid.tile_rect(row, col), {})
        for grid in [grid_of(32633, tile=20)]
        for row, col in product(range(10), range(10))
    ]
    parts = split_blocks(tiles, 0.2, 1, 0, {}, gap=gap, window=window)
    assert ('val' in parts.values()) == fits


def test_a_split_is_kept_in_a_file(tmp_path):
    assert load_split(tmp_path / 'split.json') == {}
    save_split(tmp_path / 'split.json', dict(b='val', a='train'))
    assert load_split(tmp_path / 'split.json') == dict(a='train', b='val')
