"""Each reason to drop a window, planted."""

import numpy as np
import pytest

from mssdf.preparation.pairs.filtering import contrast, judge_windows

SIDE = 32


@pytest.fixture
def tile():
    rng = np.random.default_rng(0)
    values = dict(
        rgb=rng.integers(0, 255, (3, 2 * SIDE, 3 * SIDE), dtype=np.uint8),
        dsm=rng.normal(0, 3, (1, 2 * SIDE, 3 * SIDE)).astype(np.float32),
    )
    valid = {name: np.ones((2 * SIDE, 3 * SIDE), dtype=bool) for name in values}
    return values, valid


def judge(values, valid, **options):
    options = dict(
        required=['rgb', 'dsm'], max_invalid=0.5, min_contrast=dict(rgb=2.0, dsm=0.2), **options
    )
    return judge_windows(values, valid, SIDE, **options)


def test_reasons(tile):
    values, valid = tile
    valid['rgb'][:SIDE, : SIDE - 8] = False  # the first window: 3/4 empty
    valid['dsm'][:SIDE, SIDE : 2 * SIDE] = False  # the second: no heights
    values['rgb'][:, SIDE:, :SIDE] = 90  # the fourth: flat in both
    values['dsm'][:, SIDE:, :SIDE] = 12
    values['rgb'][:, SIDE:, SIDE : 2 * SIDE] = 90  # the fifth: flat in colors alone
    kept, dropped = judge(values, valid)
    assert kept == [(0, 2 * SIDE), (SIDE, SIDE), (SIDE, 2 * SIDE)]
    assert dropped == {'empty': 1, 'no dsm': 1, 'flat': 1}


def test_the_limit_of_invalid_pixels_is_inclusive(tile):
    values, valid = tile
    valid['rgb'][:SIDE, : SIDE // 2] = False
    assert judge(values, valid)[1] == {}
    valid['rgb'][0, SIDE // 2] = False
    assert judge(values, valid)[1] == {'empty': 1}


def test_a_tile_smaller_than_a_window(tile):
    values, valid = tile
    small = {name: image[:, :20] for name, image in values.items()}
    assert judge(small, {name: known[:20] for name, known in valid.items()}) == (
        [],
        {'smaller than a window': 1},
    )


def test_what_may_be_missing_is_not_asked_for(tile):
    values, valid = tile
    valid['dsm'][:] = False
    options = dict(required=['rgb'], max_invalid=0.5, min_contrast={})
    kept, dropped = judge_windows(values, valid, SIDE, **options)
    assert len(kept) == 6 and not dropped


def test_contrast_is_that_of_numpy(tile):
    values, valid = tile
    valid['rgb'][5] = False
    expected = max(np.std(band[valid['rgb']].astype(float)) for band in values['rgb'])
    assert contrast(values['rgb'], valid['rgb']) == pytest.approx(expected)
