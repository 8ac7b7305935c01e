"""L_align with negatives from the same location: a plain loop, chance, and flat patches."""

import math

import numpy as np
import pytest
import torch

from mssdf.models.losses import location_info_nce
from mssdf.models.selfsup.pairwise import PairwiseOptions, pairwise_terms
from mssdf.models.selfsup.terms import PairwiseTerm

from .tiny import ALL_LOSSES, drop, tiny_batch, tiny_model


def numpy_by_location(first, second, valid, temperature, indistinct=None):
    """The definition: one location and one anchor after another. Arrays (L, G, d) and (L, G)."""
    losses = np.zeros(valid.shape)
    counted = np.zeros(valid.shape, dtype=bool)
    for place in range(len(first)):
        for anchor in np.flatnonzero(valid[place]):
            others = [
                window
                for window in np.flatnonzero(valid[place])
                if window != anchor
                and not (indistinct is not None and indistinct[place, anchor, window])
            ]
            if not others:
                continue
            counted[place, anchor] = True
            for one, two in ((first, second), (second, first)):
                query = one[place, anchor] / np.linalg.norm(one[place, anchor])
                keys = two[place, [anchor, *others]]
                keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
                logits = keys @ query / temperature
                losses[place, anchor] += (np.log(np.exp(logits).sum()) - logits[0]) / 2
    return losses, counted


def test_equals_a_loop_over_locations_and_anchors():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 9, 12))
    valid = rng.uniform(size=(5, 9)) > 0.3
    valid[2] = False
    valid[2, 4] = True  # a window alone at its location has nothing to be told from
    indistinct = rng.uniform(size=(5, 9, 9)) > 0.8
    expected, counted = numpy_by_location(first, second, valid, 0.2, indistinct)
    tensors = [torch.tensor(values) for values in (first, second, valid)]
    loss, found = location_info_nce(*tensors, indistinct=torch.tensor(indistinct), temperature=0.2)
    np.testing.assert_array_equal(found, counted)
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-6)
    assert not counted[2].any()

    some = torch.tensor([7, 2])
    part, _ = location_info_nce(
        *tensors, anchors=some, indistinct=torch.tensor(indistinct)[:, some], temperature=0.2
    )
    torch.testing.assert_close(part, loss[:, some])


def test_pure_position_codes_leave_the_loss_at_chance():
    """A code of the location alone meets L_align against all negatives, and not against these."""
    codes = torch.eye(64).expand(16, -1, -1)  # (B, N, d)
    features = dict(rgb=codes, dsm=codes * 3.0)
    eligible = {name: torch.rand(16, 64) > 0.4 for name in features}
    options = dict(num_locations=64, temperature=0.07)

    met = pairwise_terms(features, eligible, PairwiseOptions(**options), hsic=False)['align']
    both = eligible['rgb'] & eligible['dsm']
    count = both.sum(dim=0)
    chance = (count * count.clamp(min=1).log()).sum() / (count * (count > 1)).sum()
    blind = pairwise_terms(
        features, eligible, PairwiseOptions(negatives='location', **options), hsic=False
    )['align']
    assert blind.item() == pytest.approx(chance.item(), rel=1e-4)
    # against all negatives, the code leaves nothing to tell but the windows at one location
    assert met < chance + 0.1 < math.log(both.sum()) - 3


def test_centered_features_cannot_be_met_by_codes_of_the_window_either():
    """A code of the window alone meets L_align with negatives of other windows, unless centered."""
    codes = torch.eye(16)[:, None].expand(-1, 64, -1)  # (B, N, d)
    features = dict(rgb=codes, dsm=codes * 3.0)
    eligible = {name: torch.rand(16, 64) > 0.4 for name in features}
    met, blind = (
        pairwise_terms(
            features,
            eligible,
            PairwiseOptions(negatives='location', num_locations=64, centered=centered),
            hsic=False,
        )['align'].item()
        for centered in (False, True)
    )
    count = (eligible['rgb'] & eligible['dsm']).sum(dim=0)
    chance = (count * count.clamp(min=1).log()).sum() / (count * (count > 1)).sum()
    assert met < 0.01
    assert blind == pytest.approx(chance.item(), rel=1e-3)


def test_centered_features_are_those_less_the_windows_mean():
    generator = torch.Generator().manual_seed(2)
    features = {name: torch.randn(5, 4, 8, generator=generator) for name in 'ab'}
    eligible = {name: torch.rand(5, 4, generator=generator) > 0.3 for name in 'ab'}
    options = PairwiseOptions(negatives='location', num_locations=4, centered=True)
    found = pairwise_terms(features, eligible, options, hsic=False)['align']
    arrays = []
    for name in 'ab':
        array = features[name].numpy().copy()
        for window in range(5):
            array[window] -= array[window][eligible[name][window].numpy()].mean(axis=0)
        arrays.append(array.transpose(1, 0, 2))
    valid = (eligible['a'] & eligible['b']).T.numpy()
    losses, counted = numpy_by_location(*arrays, valid, 0.07)
    assert found.item() == pytest.approx(losses.sum() / counted.sum(), rel=1e-4)


def test_every_pair_of_modalities_is_averaged_over_the_windows_that_have_it():
    generator = torch.Generator().manual_seed(0)
    features = {name: torch.randn(6, 4, 8, generator=generator) for name in 'abc'}
    eligible = {name: torch.ones(6, 4, dtype=torch.bool) for name in 'abc'}
    eligible['c'][[1, 4]] = False
    options = PairwiseOptions(negatives='location', num_locations=4)
    found = pairwise_terms(features, eligible, options, hsic=False)['align']
    share = np.where(eligible['c'][:, 0], 1 / 3, 1.0)
    total = weight = 0.0
    for one, two in ('ab', 'ac', 'bc'):
        arrays = [features[name].transpose(0, 1).numpy() for name in (one, two)]
        valid = (eligible[one] & eligible[two]).T.numpy()
        losses, counted = numpy_by_location(*arrays, valid, 0.07)
        total += (losses * share).sum()
        weight += (counted * share).sum()
    assert found.item() == pytest.approx(total / weight, rel=1e-4)


def test_draws_locations_and_not_rows():
    """With three of sixteen locations, the loss is that of three whole locations."""
    generator = torch.Generator().manual_seed(1)
    features = {name: torch.randn(6, 16, 8, generator=generator) for name in 'ab'}
    eligible = {name: torch.ones(6, 16, dtype=torch.bool) for name in 'ab'}
    noise = torch.rand(6, 16, generator=generator)
    options = PairwiseOptions(negatives='location', num_locations=3)
    found = pairwise_terms(features, eligible, options, noise, hsic=False)['align']
    chosen = noise[0].argsort()[:3]
    arrays = [features[name][:, chosen].transpose(0, 1).numpy() for name in 'ab']
    losses, _ = numpy_by_location(*arrays, np.ones((3, 6), dtype=bool), 0.07)
    assert found.item() == pytest.approx(losses.mean(), rel=1e-4)


def test_windows_that_are_both_flat_at_a_location_are_no_negatives():
    features = {name: torch.randn(4, 1, 8) for name in ('rgb', 'dsm')}
    eligible = {name: torch.ones(4, 1, dtype=torch.bool) for name in features}
    flat = torch.tensor([True, True, False, True]).unsqueeze(1)
    options = PairwiseOptions(negatives='location', num_locations=1, flat=dict(dsm=0.5))
    found = pairwise_terms(features, eligible, options, flat=dict(dsm=flat), hsic=False)
    indistinct = np.zeros((1, 4, 4), dtype=bool)
    indistinct[0] = flat.numpy() & flat.numpy().T
    arrays = [features[name].transpose(0, 1).numpy() for name in ('rgb', 'dsm')]
    losses, counted = numpy_by_location(*arrays, np.ones((1, 4), dtype=bool), 0.07, indistinct)
    assert found['align'].item() == pytest.approx(losses[counted].mean(), rel=1e-4)


def test_the_model_measures_flatness_in_meters():
    pairwise = dict(features='encoder', negatives='location', flat=dict(dsm=59.0))
    model = tiny_model(losses=ALL_LOSSES, pairwise=pairwise)
    data = tiny_batch(3)
    data['valid']['dsm'][1, :, :20, :20] = False
    batch = model.data_preprocessor(data)['inputs']
    (pairs,) = (term for term in model.loss_terms if isinstance(term, PairwiseTerm))
    found = pairs.flat_patches(batch)['dsm']
    for window in range(3):
        heights = data['inputs']['dsm'][window, 0].numpy()
        known = data['valid']['dsm'][window, 0].numpy()
        patches = np.where(known, heights, np.nan).reshape(4, 16, 4, 16).transpose(0, 2, 1, 3)
        patches = patches.reshape(16, -1)
        some = ~np.isnan(patches).all(axis=1)
        span = np.nanmax(patches[some], axis=1) - np.nanmin(patches[some], axis=1)
        np.testing.assert_array_equal(found[window].numpy()[some], span <= 59.0)
    assert found.any() and not found.all()  # random heights within 60 m: 59 tells them apart


def test_cost_is_bounded_by_locations():
    """At a batch of 512 and 400 locations, no tensor is larger than L * B * B numbers."""
    features = {name: torch.randn(64, 400, 8, requires_grad=True) for name in 'ab'}
    eligible = {name: torch.rand(64, 400) > 0.5 for name in 'ab'}
    sizes = []

    def keep(tensor):
        sizes.append(tensor.numel())
        return tensor

    options = PairwiseOptions(negatives='location', num_locations=5)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        pairwise_terms(features, eligible, options, hsic=False)['align'].backward()
    assert max(sizes) <= max(5 * 64 * 64, 64 * 400 * 8)


def test_windows_without_a_partner_give_a_finite_zero():
    for windows in (1, 3):
        model = tiny_model(
            losses=dict.fromkeys(ALL_LOSSES, 0.0) | dict(align=1.0),
            pairwise=dict(features='encoder', negatives='location', projector=16),
        )
        data = drop(tiny_batch(windows), 'dsm', list(range(windows)))
        loss = model.loss(**model.data_preprocessor(data))['loss']
        assert loss == 0
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(negatives='rows'), 'pairwise.negatives'),
        (dict(num_locations=0), 'pairwise.num_locations'),
        (dict(max_rows=1), 'pairwise.max_rows'),
        (dict(temperature=0.0), 'pairwise'),
        (dict(flat=dict(dsm=-1.0)), 'pairwise.flat'),
    ],
)
def test_wrong_settings_name_the_key(settings, message):
    with pytest.raises(ValueError, match=message.replace('.', r'\.')):
        PairwiseOptions(**settings)
