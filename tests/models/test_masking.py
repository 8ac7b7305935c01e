"""Masking against OpenCV, NumPy and exact probabilities."""

from itertools import combinations

import cv2
import numpy as np
import pytest
import rasterio
import torch
from scipy import stats

from mssdf.models.masking import (
    information_score,
    mask_across_modalities,
    sample_masks,
    sampling_weights,
    scale_intensity,
    valid_patches,
)


def opencv_score(gray: np.ndarray, patch_size: int) -> np.ndarray:
    """The score of method.md, section 2, patch by patch with OpenCV and NumPy."""
    scores = []
    for row in range(0, gray.shape[0], patch_size):
        for col in range(0, gray.shape[1], patch_size):
            patch = np.ascontiguousarray(gray[row : row + patch_size, col : col + patch_size])
            gx = cv2.Sobel(patch, cv2.CV_64F, 1, 0, ksize=3)
            gy = cv2.Sobel(patch, cv2.CV_64F, 0, 1, ksize=3)
            scores.append(np.sqrt(gx**2 + gy**2).mean() + patch.var())
    return np.array(scores)


@pytest.fixture(scope='module')
def orthophoto(data_root) -> np.ndarray:
    """A real window (3, 320, 320)."""
    with rasterio.open(data_root / 'autzen' / 'patch' / 'autzen_dom.tif') as raster:
        return raster.read(window=rasterio.windows.Window(400, 300, 320, 320))


@pytest.mark.parametrize('patch_size', [8, 16, 32])
def test_score_equals_opencv_on_a_real_window(orthophoto, patch_size):
    image = torch.from_numpy(orthophoto)[None]
    expected = opencv_score(orthophoto.astype(np.float64).mean(axis=0), patch_size)
    np.testing.assert_allclose(information_score(image, patch_size)[0], expected, rtol=1e-4)


def test_score_equals_opencv_on_noise_flat_and_non_square_windows():
    rng = np.random.default_rng(0)
    bright = 250 + rng.normal(0, 0.05, (2, 48, 80))  # little variance on a large mean
    noise = rng.uniform(0, 255, (2, 48, 80))
    flat = np.full((2, 48, 80), 17.0)
    windows = np.stack([bright, noise, flat]).astype(np.float32)
    found = information_score(torch.from_numpy(windows), 16).numpy()
    expected = [opencv_score(window.astype(np.float64).mean(axis=0), 16) for window in windows]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert (found[2] == 0).all()


@pytest.mark.parametrize(
    ('term', 'index'), [('gradient', 0), ('variance', 1)], ids=['gradient', 'variance']
)
def test_score_terms_switch(orthophoto, term, index):
    gray = orthophoto[:, :16, :16].astype(np.float64).mean(axis=0)
    gx, gy = cv2.Sobel(gray, cv2.CV_64F, 1, 0), cv2.Sobel(gray, cv2.CV_64F, 0, 1)
    expected = (np.sqrt(gx**2 + gy**2).mean(), gray.var())[index]
    image = torch.from_numpy(orthophoto[None, :, :16, :16].copy())
    assert information_score(image, terms=[term]).item() == pytest.approx(expected, rel=1e-4)


def test_score_of_partly_valid_patches_equals_a_loop():
    rng = np.random.default_rng(1)
    image = rng.uniform(0, 255, (2, 1, 32, 48)).astype(np.float32)
    valid = rng.uniform(size=(2, 1, 32, 48)) > 0.3
    valid[0, 0, :16, :16] = False
    spoiled = np.where(valid, image, 1e9).astype(np.float32)
    found = information_score(torch.from_numpy(spoiled), 16, torch.from_numpy(valid)).numpy()
    for sample in range(2):
        for index in range(6):
            row, col = 16 * (index // 3), 16 * (index % 3)
            patch = image[sample, 0, row : row + 16, col : col + 16].astype(np.float64)
            known = valid[sample, 0, row : row + 16, col : col + 16]
            if not known.any():
                assert found[sample, index] == 0
                continue
            filled = np.where(known, patch, patch[known].mean())
            gx, gy = cv2.Sobel(filled, cv2.CV_64F, 1, 0), cv2.Sobel(filled, cv2.CV_64F, 0, 1)
            expected = np.hypot(gx, gy)[known].mean() + patch[known].var()
            assert found[sample, index] == pytest.approx(expected, rel=1e-4)


def test_intensity_is_scaled_over_valid_pixels_of_each_window():
    image = torch.tensor([[1.0, 2.0, 3.0, -9999.0], [5.0, 5.0, 5.0, 5.0]]).view(2, 1, 2, 2)
    valid = torch.tensor([[True, True, True, False], [True] * 4]).view(2, 1, 2, 2)
    scaled = scale_intensity(image, valid)
    assert scaled[0].flatten()[:3].tolist() == [0.0, 127.5, 255.0]
    assert (scaled[1] == 0).all()
    nothing = scale_intensity(image, torch.zeros_like(valid))
    assert torch.isfinite(nothing).all()


def numpy_scale(gray: np.ndarray, valid: np.ndarray, min_span: float = 0.0) -> np.ndarray:
    """The intensity scale of method.md, section 2, of one window (H, W)."""
    low, high = np.percentile(gray[valid].astype(np.float64), [1, 99])
    span = max(high - low, min_span)
    scaled = (gray - low) * (255 / span if span else 0)
    return np.where(valid, np.clip(scaled, 0, 255), 0)


@pytest.mark.parametrize('min_span', [0.0, 30.0, 1000.0])
def test_scale_equals_numpy_where_every_pixel_is_looked_at(min_span):
    rng = np.random.default_rng(3)
    gray = rng.gamma(1.0, 20.0, (6, 1, 64, 48)).astype(np.float32)
    valid = (
        rng.uniform(size=gray.shape) < np.array([1, 0.9, 0.5, 0.1, 0.01, 1])[:, None, None, None]
    )
    image, known = torch.from_numpy(gray), torch.from_numpy(valid)
    spoiled = torch.where(known, image, 1e9)
    scaled = scale_intensity(spoiled, known, min_span)
    complete = scale_intensity(image, None, min_span)
    for window in range(6):
        there = valid[window, 0]
        expected = numpy_scale(gray[window, 0], there, min_span)
        found = scaled[window, 0].numpy()
        np.testing.assert_allclose(found[there], expected[there], atol=2e-3)
        expected = numpy_scale(gray[window, 0], np.ones_like(there), min_span)
        np.testing.assert_allclose(complete[window, 0].numpy(), expected, atol=2e-3)


@pytest.fixture(scope='module')
def heights(data_root) -> np.ndarray:
    """The surface model (320, 320) under :func:`orthophoto`, in meters."""
    with rasterio.open(data_root / 'autzen' / 'patch' / 'autzen_dsm.tif') as raster:
        return raster.read(1, window=rasterio.windows.Window(400, 300, 320, 320))


@pytest.mark.parametrize('share', [1.0, 0.7])
def test_score_follows_numpy_percentiles_of_all_pixels_of_real_windows(orthophoto, heights, share):
    """Percentiles are estimated: a percent of a typical score, five of the largest one."""
    rng = np.random.default_rng(4)
    valid = rng.uniform(size=(320, 320)) < share
    known = torch.from_numpy(valid)[None, None]
    for image, min_span in ((orthophoto, 0.0), (heights[None], 5.0)):
        gray = image.astype(np.float32).mean(axis=0)
        scaled = numpy_scale(gray, valid, min_span).astype(np.float32)
        expected = information_score(torch.from_numpy(scaled)[None, None], 16, known)
        found = scale_intensity(torch.from_numpy(image)[None], known, min_span)
        found = information_score(found, 16, known)
        difference = (found - expected).abs()
        assert difference.max() < 0.05 * expected.max()
        assert (difference / (expected + 1)).median() < 0.03
        changed = sampling_weights(found) != sampling_weights(expected)
        assert changed.float().mean() < 0.02


def test_an_outlier_does_not_flatten_the_score(heights):
    spoiled = heights.copy()
    spoiled[37, 190] += 200.0
    scores = [
        information_score(scale_intensity(torch.from_numpy(dsm)[None, None], None, 5.0))
        .median()
        .item()
        for dsm in (heights, spoiled)
    ]
    assert scores[1] == pytest.approx(scores[0], rel=0.05)


def test_noise_on_flat_ground_is_less_information_than_an_image(orthophoto):
    generator = torch.Generator().manual_seed(0)
    ground = 130 + 0.05 * torch.randn(1, 1, 320, 320, generator=generator)
    image = information_score(scale_intensity(torch.from_numpy(orthophoto)[None]))
    noise = information_score(scale_intensity(ground, None, 5.0))
    assert noise.max() < image.median()
    assert noise.median() < 0.1 * image.median()


@pytest.mark.parametrize('value', [0.0, 17.0, -1e15, 1e15, 1e-40])
def test_windows_without_relief_or_valid_pixels_score_nothing(value):
    constant = torch.full((2, 1, 320, 320), value)
    nothing = torch.zeros(constant.shape, dtype=torch.bool)
    spoiled = torch.where(torch.rand(constant.shape) > 0.5, torch.nan, torch.inf)
    for min_span in (0.0, 5.0):
        for scaled in (
            scale_intensity(constant, None, min_span),
            scale_intensity(constant, ~nothing, min_span),
            scale_intensity(spoiled, nothing, min_span),
        ):
            assert (information_score(scaled) == 0).all()
            assert scaled.isfinite().all()


def test_weights_follow_numpy_percentiles():
    rng = np.random.default_rng(2)
    score = rng.gamma(2.0, 10.0, (5, 400)).astype(np.float32)
    valid = rng.uniform(size=(5, 400)) > 0.2
    found = sampling_weights(torch.from_numpy(score), torch.from_numpy(valid)).numpy()
    for sample in range(5):
        low, high = np.percentile(score[sample][valid[sample]], [20, 80])
        expected = np.where(score[sample] < low, 0.8, np.where(score[sample] > high, 0.3, 0.5))
        np.testing.assert_allclose(found[sample], expected.astype(np.float32))


def test_masks_are_drawn_like_numpy_choice_without_replacement():
    """Chi-square over all sets of 3 of 6 patches, 40,000 draws against 40,000 of NumPy."""
    score = torch.tensor([0.0, 10.0, 11.0, 12.0, 13.0, 50.0])
    weight = sampling_weights(score[None])[0].double().numpy()
    assert weight[0] > weight[1] > weight[5]
    draws, count = 40_000, 3
    generator = torch.Generator().manual_seed(0)
    masks = sample_masks(score.expand(draws, 6), count, generator).numpy()
    rng = np.random.default_rng(0)
    sets = {chosen: index for index, chosen in enumerate(combinations(range(6), count))}
    table = np.zeros((2, len(sets)))
    for mask in masks:
        table[0, sets[tuple(np.flatnonzero(mask))]] += 1
    for _ in range(draws):
        chosen = rng.choice(6, count, replace=False, p=weight / weight.sum())
        table[1, sets[tuple(sorted(chosen))]] += 1
    assert stats.chi2_contingency(table).pvalue > 0.01
    uniform = np.full(len(sets), draws / len(sets))
    assert stats.chisquare(table[0], uniform).pvalue < 1e-6  # and not like a uniform draw


def test_counts_are_exact_and_draws_differ_between_modalities():
    score = torch.rand(16, 400)
    generator = torch.Generator().manual_seed(3)
    first, second = (sample_masks(score, 300, generator) for _ in range(2))
    assert (first.sum(1) == 300).all()
    assert (second.sum(1) == 300).all()
    assert (first != second).any(dim=1).all()
    again = sample_masks(score, 300, torch.Generator().manual_seed(3))
    assert torch.equal(first, again)


def test_invalid_patches_are_never_visible():
    valid = torch.rand(8, 100) > 0.4
    valid[0] = True
    valid[1] = False
    valid[2, 10:] = False  # fewer valid patches than would be visible
    masks = sample_masks(torch.rand(8, 100), 75, valid=valid)
    assert not (~masks & ~valid).any()
    enough = valid.sum(1) >= 25
    assert (masks[enough].sum(1) == 75).all()
    assert masks[1].all()
    assert (~masks[2]).sum() <= 10


def test_constant_window_batch_of_one_and_extreme_counts():
    score = torch.zeros(1, 25)
    for count in (0, 18, 25):
        assert sample_masks(score, count).sum() == count
    with pytest.raises(ValueError, match='within 0...25, found 26'):
        sample_masks(score, 26)
    with pytest.raises(ValueError, match='30 x 32 pixels'):
        information_score(torch.zeros(1, 1, 30, 32))
    with pytest.raises(ValueError, match="found \\['sobel'\\]"):
        information_score(torch.zeros(1, 1, 32, 32), terms=['sobel'])


def test_patch_validity_counts_pixels():
    valid = torch.ones(1, 1, 16, 32, dtype=torch.bool)
    valid[0, 0, :8, :16] = False  # exactly half of the first patch
    valid[0, 0, :9, 16:] = False  # more than half of the second
    assert valid_patches(valid, 16).tolist() == [[True, False]]
    assert valid_patches(torch.zeros_like(valid), 16, max_invalid=1.0).sum() == 0


@pytest.fixture
def two_masks() -> torch.Tensor:
    """Independent masks (2, 32, 100), 25 visible each."""
    generator = torch.Generator().manual_seed(5)
    score = torch.rand(32, 100, generator=generator)
    return torch.stack([sample_masks(score, 75, generator) for _ in range(2)])


def test_cross_modal_masking_takes_jointly_visible_patches_first(two_masks):
    target = torch.arange(32) % 2
    joint = (~two_masks).all(dim=0).sum(dim=1)
    for count in (0, 3, 10, 25):
        masks = mask_across_modalities(two_masks, target, count / 25)
        rows = torch.arange(32)
        assert torch.equal(masks[1 - target, rows], two_masks[1 - target, rows])
        changed = masks[target, rows]
        assert (changed.sum(1) == 75 + count).all()
        assert (changed | ~two_masks[target, rows]).all()  # nothing became visible
        left = (~masks).all(dim=0).sum(dim=1)
        assert torch.equal(left, (joint - count).clamp(min=0))


def test_complementary_masking_keeps_the_ratio(two_masks):
    target = torch.ones(32, dtype=torch.long)
    masks = mask_across_modalities(two_masks, target, 0.4, complementary=True)
    assert (masks[1].sum(1) == 75).all()
    shown = two_masks[1] & ~masks[1]
    hidden = masks[1] & ~two_masks[1]
    assert (shown.sum(1) == 10).all()
    assert (hidden.sum(1) == 10).all()
    # where the other modality is hidden there is room enough, so none is shown beside it
    assert not (shown & ~two_masks[0]).any()


def test_complementary_masking_never_shows_invalid_patches():
    valid = torch.rand(2, 16, 64) > 0.3
    masks = torch.stack([sample_masks(torch.rand(16, 64), 48, valid=mask) for mask in valid])
    target = torch.zeros(16, dtype=torch.long)
    changed = mask_across_modalities(masks, target, 0.5, valid=valid, complementary=True)
    assert not (~changed & ~valid).any()
    assert torch.equal((~changed).sum(2), (~masks).sum(2))


def test_a_sample_with_a_single_modality_is_left_as_it_is():
    masks = sample_masks(torch.rand(4, 36), 27)[None]
    target = torch.zeros(4, dtype=torch.long)
    assert torch.equal(mask_across_modalities(masks, target, 0.3), masks)

    valid = torch.ones(2, 4, 36, dtype=torch.bool)
    valid[1, :2] = False
    masks = torch.stack([sample_masks(torch.rand(4, 36), 27, valid=known) for known in valid])
    for complementary in (False, True):
        changed = mask_across_modalities(masks, target, 0.3, None, valid, complementary)
        assert torch.equal(changed[:, :2], masks[:, :2])
        assert (changed[:, 2:] != masks[:, 2:]).flatten(2).any(dim=2)[0].all()
