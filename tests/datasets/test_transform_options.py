"""Options of the transforms, each with a value that is not the default, on oblong windows."""

import numpy as np
import pytest

from mssdf.datasets import (
    ModalityDropout,
    MultiModalColorJitter,
    MultiModalRandomFlip,
    MultiModalRandomResizedCrop,
    MultiModalRandomRotate90,
    PackMultiModalInputs,
)
from mssdf.datasets.transforms.color_jitter import jitter

SIZE = (20, 44)


def window(seed: int, size: tuple[int, int] = SIZE, name: str = 'color') -> dict:
    """Colors that tell a pixel's row and column, and heights."""
    row, col = np.mgrid[: size[0], : size[1]]
    colors = np.stack([row, col, row + col]).astype(np.float32) + 1
    heights = (100 * row + col)[None].astype(np.float32)
    return dict(
        images={name: colors, 'dsm': heights},
        valid={name: np.ones(size, dtype=bool), 'dsm': np.ones(size, dtype=bool)},
        rng=np.random.default_rng(seed),
        scene='s',
        window=(0, 0, *size),
        files={},
    )


@pytest.mark.parametrize('prob', [0.2, 0.9])
def test_a_flip_in_each_direction_is_as_likely_as_asked_for(prob):
    flips = np.zeros(2)
    for seed in range(1500):
        colors = MultiModalRandomFlip(prob)(window(seed))['images']['color']
        flips += (colors[0, 0, 0] > 1, colors[1, 0, 0] > 1)
    np.testing.assert_allclose(flips / 1500, prob, atol=0.04)


def test_all_turns_are_as_likely():
    square, oblong = np.zeros(4), 0
    for seed in range(1200):
        colors = MultiModalRandomRotate90()(window(seed, (8, 8)))['images']['color']
        corner = tuple(colors[:2, 0, 0] > 1)
        square[[(False, False), (False, True), (True, True), (True, False)].index(corner)] += 1
        oblong += MultiModalRandomRotate90()(window(seed))['images']['color'][0, 0, 0] > 1
    np.testing.assert_allclose(square / 1200, 0.25, atol=0.05)
    assert oblong / 1200 == pytest.approx(0.5, abs=0.05)


def test_parts_lie_anywhere_in_an_oblong_window_and_have_the_shape_asked_for():
    transform = MultiModalRandomResizedCrop((6, 12), scale=(0.1, 0.12), ratio=(1.8, 2.2))
    middles = []
    for seed in range(400):
        after = transform(window(seed))['images']
        rows, cols = after['color'][0] - 1, after['color'][1] - 1
        np.testing.assert_allclose(after['dsm'][0], 100 * rows + cols, atol=0.1)
        height = (rows[-1, 0] - rows[0, 0]) * 6 / 5
        width = (cols[0, -1] - cols[0, 0]) * 12 / 11
        assert width / height == pytest.approx(2, rel=0.2)
        assert height * width / (20 * 44) == pytest.approx(0.11, rel=0.2)
        middles.append((rows.mean(), cols.mean()))
    low, high = np.min(middles, axis=0), np.max(middles, axis=0)
    # from edge to edge, but for half of a part of some 7 x 14 pixels
    np.testing.assert_allclose(low, (3, 6.5), atol=1)
    np.testing.assert_allclose(high, (19 - 3, 43 - 6.5), atol=1)


@pytest.mark.parametrize('min_valid', [0.1, 0.95])
def test_a_part_is_as_valid_as_asked_for(min_valid):
    transform = MultiModalRandomResizedCrop(8, scale=(0.2, 0.2), ratio=(1, 1), min_valid=min_valid)
    shares = []
    for seed in range(300):
        given = window(seed)
        for name in given['valid']:
            given['valid'][name][:, 22:] = False
            given['images'][name][..., 22:] = 0
        shares.append(transform(given)['valid']['color'].mean())
    assert min(shares) >= min(min_valid, 0.5) - 0.15  # the whole window where ten draws failed
    if min_valid < 0.5:
        assert min(shares) < 0.4
    else:
        taken = np.array([share for share in shares if share != 0.5])
        assert len(taken) > 200 and taken.min() >= 0.85


def test_colors_of_the_named_modality_change_as_often_as_asked_for():
    changed = 0
    for seed in range(800):
        before, after = (
            window(seed),
            MultiModalColorJitter(modality='color', prob=0.3)(window(seed)),
        )
        assert set(after['images']) == {'color', 'dsm'}
        np.testing.assert_array_equal(after['images']['dsm'], before['images']['dsm'])
        changed += not np.array_equal(after['images']['color'], before['images']['color'])
    assert changed / 800 == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize('part', [0, 1, 2])
def test_each_factor_of_the_colors_has_its_own_range(part):
    strengths = [0.0, 0.0, 0.0]
    strengths[part] = 0.3
    transform = MultiModalColorJitter(*strengths, modality='color')
    image = np.random.default_rng(0).integers(100, 140, (3, 16, 16)).astype(np.uint8)
    luma = np.tensordot([0.299, 0.587, 0.114], image, axes=1)
    factors = []
    for seed in range(200):
        given = window(seed, (16, 16))
        given['images']['color'] = image
        after = transform(given)['images']['color'].astype(float)
        about = [0.0, luma.mean(), luma][part]
        rest = image - about
        factors.append(float((rest * (after - about)).sum() / (rest**2).sum()))
    assert min(factors) == pytest.approx(0.7, abs=0.03)
    assert max(factors) == pytest.approx(1.3, abs=0.03)


def test_contrast_stretches_about_the_mean_of_valid_pixels_alone():
    rng = np.random.default_rng(0)
    image = rng.integers(90, 150, (3, 16, 32)).astype(np.uint8)
    valid = np.zeros((16, 32), dtype=bool)
    valid[:, :8] = True
    image[:, ~valid] = 0
    expected = jitter(np.ascontiguousarray(image[..., :8]), valid[:, :8], 1.1, 0.6, 0.8)
    given = dict(images=dict(rgb=image), valid=dict(rgb=valid), rng=Fixed((0.0, 0.1, -0.4, -0.2)))
    after = MultiModalColorJitter(1.0, 1.0, 1.0)(given)['images']['rgb']
    np.testing.assert_array_equal(after[..., :8], expected)
    assert not after[..., 8:].any()


class Fixed:
    """A generator that gives numbers of one's own."""

    def __init__(self, numbers: tuple[float, ...]) -> None:
        self.numbers = numbers

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        assert (low, high, size) == (-1, 1, len(self.numbers))
        return np.array(self.numbers)


def test_the_modality_that_is_kept_is_any_of_those_dropped():
    kept = dict.fromkeys(('color', 'dsm'), 0)
    for seed in range(400):
        after = ModalityDropout(1.0)(window(seed))
        (name,) = [name for name, valid in after['valid'].items() if valid.any()]
        kept[name] += 1
    assert min(kept.values()) > 150


def test_modalities_present_are_those_with_a_valid_pixel():
    given = window(0)
    given['valid']['dsm'][:] = False
    packed = PackMultiModalInputs()(given)
    assert packed['data_samples'].metainfo['modalities'] == ('color',)
    np.testing.assert_array_equal(packed['inputs']['color'], given['images']['color'])
