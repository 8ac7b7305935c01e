"""Losses against closed forms and NumPy."""

import math

import numpy as np
import pytest
import torch

from mssdf.models.losses import (
    info_nce,
    linear_hsic,
    masked_feature_loss,
    masked_pixel_loss,
    modality_loss,
    normalize_targets,
    patchify,
    sample_locations,
)
from mssdf.models.losses.pixels import normalized_patches, reconstruct, unpatchify
from mssdf.models.selfsup.pairwise import pairwise_terms


def numpy_info_nce(first, second, temperature):
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    logits = first @ second.T / temperature
    rows = -np.diag(logits) + np.log(np.exp(logits).sum(1))
    cols = -np.diag(logits) + np.log(np.exp(logits).sum(0))
    return (rows + cols) / 2


def test_info_nce_equals_numpy_and_ignores_invalid_rows():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 40, 16))
    keep = rng.uniform(size=40) > 0.3
    found = info_nce(*map(torch.tensor, (first, second)), torch.tensor(keep), 0.07).numpy()
    np.testing.assert_allclose(
        found[keep], numpy_info_nce(first[keep], second[keep], 0.07), rtol=1e-4
    )
    assert (found[~keep] == 0).all()


def test_info_nce_of_identical_features_of_one_location_is_log_n():
    same = torch.ones(10, 4)
    loss = info_nce(same, same, torch.ones(10, dtype=torch.bool))
    assert loss.tolist() == pytest.approx([math.log(10)] * 10)


def test_hsic_is_the_mean_squared_correlation_of_numpy():
    rng = np.random.default_rng(1)
    first = rng.normal(size=(50, 6)) * 30 + 5
    second = first @ rng.normal(size=(6, 6)) + rng.normal(size=(50, 6))
    keep = rng.uniform(size=50) > 0.2
    found = linear_hsic(*map(torch.tensor, (first, second)), torch.tensor(keep))
    correlation = np.corrcoef(first[keep].T, second[keep].T)[:6, 6:]
    assert found.item() == pytest.approx((correlation**2).mean(), rel=1e-4)
    x = first[keep] - first[keep].mean(0)
    y = second[keep] - second[keep].mean(0)
    x, y = x / x.std(0, ddof=1), y / y.std(0, ddof=1)
    n = keep.sum()
    definition = np.linalg.norm(x.T @ y, 'fro') ** 2 / (n - 1) ** 2 / 6**2
    assert found.item() == pytest.approx(definition, rel=1e-4)


def test_hsic_does_not_grow_with_scale():
    first, second = torch.randn(2, 64, 8)
    keep = torch.ones(64, dtype=torch.bool)
    small = linear_hsic(first, second, keep)
    assert linear_hsic(first * 1e4, second * 1e-2, keep).item() == pytest.approx(
        small.item(), rel=1e-3
    )


@pytest.mark.parametrize('rows', [0, 1, 2])
def test_pairwise_losses_are_finite_on_almost_nothing(rows):
    first, second = (torch.randn(5, 4, requires_grad=True) for _ in range(2))
    keep = torch.arange(5) < rows
    for loss in (linear_hsic(first, second, keep), info_nce(first, second, keep).sum()):
        assert torch.isfinite(loss)
        first.grad = None
        loss.backward()
        assert torch.isfinite(first.grad).all()


def test_constant_features_give_finite_losses_and_gradients():
    first = torch.full((8, 4), 3.0, requires_grad=True)
    keep = torch.ones(8, dtype=torch.bool)
    loss = linear_hsic(first, first * 2, keep) + info_nce(first * 0, first, keep).mean()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(first.grad).all()


def test_feature_loss_equals_a_loop():
    predicted, target = torch.randn(2, 3, 10, 6)
    mask = torch.rand(3, 10) > 0.5
    mask[2] = False
    found = masked_feature_loss(predicted, target, mask)
    for sample in range(2):
        errors = [
            ((predicted[sample, q] - target[sample, q]) ** 2).mean()
            for q in range(10)
            if mask[sample, q]
        ]
        assert found[sample].item() == pytest.approx((sum(errors) / len(errors)).item(), rel=1e-5)
    assert found[2] == 0


def test_target_normalization():
    tokens = torch.randn(4, 9, 32) * 7 + 3
    valid = torch.rand(4, 9) > 0.3
    by_token = normalize_targets(tokens, valid, 'token')
    torch.testing.assert_close(by_token.mean(-1), torch.zeros(4, 9), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        by_token.var(-1, unbiased=False), torch.ones(4, 9), atol=1e-4, rtol=0
    )
    by_batch = normalize_targets(tokens, valid, 'batch')[valid].numpy()
    raw = tokens[valid].numpy()
    np.testing.assert_allclose(by_batch, (raw - raw.mean(0)) / raw.std(0), atol=1e-4)
    assert torch.equal(normalize_targets(tokens, valid, None), tokens)
    with pytest.raises(ValueError, match='found .layer.'):
        normalize_targets(tokens, valid, 'layer')


def test_modality_loss_equals_log_softmax_over_present_modalities():
    logits = torch.randn(3, 2, 2)
    present = torch.tensor([[True, True], [True, False], [False, False]])
    found = modality_loss(logits, present)
    log = torch.log_softmax(logits, -1)
    assert found[0].item() == pytest.approx(-(log[0, 0, 0] + log[0, 1, 1]).item() / 2, rel=1e-5)
    assert found[1].item() == pytest.approx(-log[1, 0, 0].item(), rel=1e-5)
    assert found[2] == 0


def test_patchify_keeps_raster_order():
    image = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    patches = patchify(image, 2)
    assert patches.shape == (2, 6, 4, 3)
    for index in range(6):
        row, col = 2 * (index // 3), 2 * (index % 3)
        expected = image[1, :, row : row + 2, col : col + 2].permute(1, 2, 0).reshape(4, 3)
        assert torch.equal(patches[1, index], expected)


def test_pixel_targets_are_normalized_over_valid_pixels_with_a_floor():
    image = torch.randn(1, 2, 4, 8) * 5 + 100
    image[..., 4:] = 3.0 + 0.001 * torch.randn(1, 2, 4, 4)  # flat second patch
    valid = torch.ones(1, 1, 4, 8, dtype=torch.bool)
    valid[0, 0, 0, :2] = False
    spoiled = image.clone()
    spoiled[:, :, 0, :2] = -9999
    targets, weight = normalized_patches(spoiled, valid, 4, floor=0.1)
    first = patchify(image, 4)[0, 0][weight[0, 0, :, 0]].numpy()
    expected = (first - first.mean()) / first.std()
    np.testing.assert_allclose(targets[0, 0][weight[0, 0, :, 0]], expected, atol=1e-4)
    assert targets[0, 1].abs().max() < 0.05
    assert not weight[0, 0, :2].any()


def test_pixel_loss_counts_masked_patches_and_valid_pixels_alone():
    image = torch.randn(2, 1, 8, 8)
    valid = torch.rand(2, 1, 8, 8) > 0.2
    mask = torch.tensor([[True, False, True, False], [False] * 4])
    targets, weight = normalized_patches(image, valid, 4)
    predicted = torch.randn(2, 4, 16)
    found = masked_pixel_loss(predicted, image, valid, mask, 4)
    errors = []
    for patch in (0, 2):
        known = weight[0, patch, :, 0]
        errors.append(((predicted[0, patch] - targets[0, patch, :, 0]) ** 2)[known].mean())
    assert found[0].item() == pytest.approx((sum(errors) / 2).item(), rel=1e-5)
    assert found[1] == 0


def test_locations_are_eligible_distinct_and_uniform():
    eligible = torch.rand(4, 25) > 0.5
    indices, valid, _ = sample_locations(eligible, 20)
    assert valid.all()
    assert eligible.flatten()[indices].all()
    assert len(set(indices.tolist())) == 20
    indices, valid, _ = sample_locations(eligible, 1000)
    assert len(indices) == 100
    assert valid.sum() == eligible.sum()
    counts = torch.zeros(100)
    for _ in range(2000):
        counts[sample_locations(eligible, 5)[0]] += 1
    assert (counts[~eligible.flatten()] == 0).all()
    expected = 2000 * 5 / eligible.sum()
    assert (counts[eligible.flatten()] - expected).abs().max() < 6 * expected.sqrt()


def test_pairs_are_averaged_over_those_that_each_window_has():
    """Three modalities, the third missing in one window: the definition, window by window."""
    features = {name: torch.randn(3, 4, 8) for name in 'abc'}
    eligible = {name: torch.ones(3, 4, dtype=torch.bool) for name in 'abc'}
    eligible['c'][1] = False
    found = pairwise_terms(features, eligible)
    rows = {name: value.flatten(0, 1).numpy() for name, value in features.items()}
    has_c = eligible['c'].flatten().numpy()
    share = np.repeat([1 / 3, 1.0, 1 / 3], 4)
    total = weight = 0.0
    for first, second in ('ab', 'ac', 'bc'):
        keep = has_c if 'c' in (first, second) else np.ones(12, dtype=bool)
        losses = numpy_info_nce(rows[first][keep], rows[second][keep], 0.07)
        total += (losses * share[keep]).sum()
        weight += share[keep].sum()
    assert found['align'].item() == pytest.approx(total / weight, rel=1e-4)


def test_pairwise_terms_without_pairs_are_zero():
    features = {name: torch.randn(2, 4, 8) for name in 'ab'}
    eligible = dict(a=torch.ones(2, 4).bool(), b=torch.zeros(2, 4).bool())
    terms = pairwise_terms(features, eligible)
    assert terms['align'] == 0
    assert terms['hsic'] == 0


def test_patches_are_put_together_as_they_were_cut():
    image = torch.randn(2, 3, 8, 12)
    assert torch.equal(unpatchify(patchify(image, 4), (2, 3), 4), image)


@pytest.mark.parametrize('target', ['normalized', 'raw'])
def test_a_perfect_prediction_reconstructs_the_window(target):
    image = torch.randn(2, 3, 8, 12) * 3 + 1
    valid = torch.ones(2, 1, 8, 12, dtype=torch.bool)
    mask = torch.rand(2, 6) > 0.5
    patches = patchify(image, 4)
    if target == 'normalized':
        patches = normalized_patches(image, valid, 4)[0]
    found = reconstruct(patches.flatten(2), image, valid, mask, 4, target=target)
    torch.testing.assert_close(found, image, atol=1e-5, rtol=1e-5)
    # zeros show in hidden patches alone
    blank = reconstruct(torch.zeros(2, 6, 48), image, valid, mask, 4, target='raw')
    hidden = unpatchify(mask[:, :, None, None].expand(2, 6, 16, 3).float(), (2, 3), 4) > 0
    assert torch.equal(blank, image.masked_fill(hidden, 0.0))
