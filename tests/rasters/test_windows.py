import numpy as np
import pytest

from mssdf.rasters.grids import GridMap
from mssdf.rasters.windows import ValidityMap, WindowOptions, full_map, grid_shares, grid_starts
from mssdf.utils.options import parse_options


@pytest.mark.parametrize(
    ('size', 'window', 'stride'),
    [
        (100, 32, 32),
        (96, 32, 32),
        (97, 32, 16),
        (33, 32, 32),
        (32, 32, 32),
        (20, 32, 32),
    ],
)
def test_windows_cover_the_axis(size, window, stride):
    starts = grid_starts(size, window, stride)
    covered = np.zeros(max(size, window), bool)
    for start in starts:
        covered[start : start + window] = True
        assert start + window <= max(size, window)
    assert covered[:size].all()
    assert (starts[:-1] % stride == 0).all() and len(set(starts.tolist())) == len(starts)


@pytest.mark.parametrize('cell', [1, 4])
def test_shares_are_means_of_validity(rng, cell):
    valid = rng.random((40, 60)) < 0.7
    cells = valid.reshape(40 // cell, cell, 60 // cell, cell).mean((1, 3))
    validity = ValidityMap(np.rint(cells * 255).astype(np.uint8), (cell, cell), (40, 60))
    rows, cols = np.array([0, 8, 24]), np.array([0, 12, 44])
    shares = grid_shares(validity, GridMap(), rows, cols, 16)
    expected = [[valid[r : r + 16, c : c + 16].mean() for c in cols] for r in rows]
    np.testing.assert_allclose(shares, expected, atol=1 / 255)


def test_last_cell_ends_with_the_raster():
    validity = ValidityMap(np.full((3, 3), 255, np.uint8), (4, 4), (9, 9))
    shares = grid_shares(validity, GridMap(), np.array([0, 5]), np.array([0, 5]), 8)
    np.testing.assert_allclose(shares, np.outer([1, 0.5], [1, 0.5]))  # 4 of 8 rows lie inside


def test_shares_on_another_grid_and_beyond_the_raster():
    grid = GridMap(scale=(0.5, 1.5), offset=(-5.0, 10.0))
    shares = grid_shares(full_map((40, 60)), grid, np.array([0, 20]), np.array([0, 20]), 20)
    # rows -5…5 and 5…15 of 40, columns 10…40 and 40…70 of 60
    np.testing.assert_allclose(shares, np.outer([0.5, 1.0], [1.0, 2 / 3]))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(mode='grid', stride=33), 'stride'),
        (dict(mode='grid', per_epoch=3), 'per_epoch'),
        (dict(mode='random'), 'per_epoch'),
        (dict(mode='circle'), 'circle'),
        (dict(mode='random', per_epoch=5, stride=2), 'stride'),
    ],
)
def test_wrong_settings(config, message):
    with pytest.raises(ValueError, match=message):
        parse_options(WindowOptions, 'windows', dict(config, size=32))
    with pytest.raises(ValueError, match='strid'):
        parse_options(WindowOptions, 'windows', dict(strid=3))
