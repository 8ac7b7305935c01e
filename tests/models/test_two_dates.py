"""Change models against loops over pixels, and against their parts."""

import itertools

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mssdf.models.change.two_dates import consistent_labels, fuse_dates, split_dates
from mssdf.models.losses.height import HeightLoss, height_loss
from mssdf.models.losses.semantic_consistency import semantic_consistency_loss


def test_dates_are_split_by_bands():
    first, second = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    dates = split_dates(torch.cat([first, second], dim=1))
    assert torch.equal(dates, torch.cat([first, second]))


def test_odd_number_of_bands():
    with pytest.raises(ValueError, match='found 5 bands'):
        split_dates(torch.zeros(1, 5, 4, 4))


def test_difference_does_not_know_the_order():
    a, b = torch.randn(2, 1, 3, 4, 4)
    assert torch.equal(fuse_dates(a, b, 'difference'), fuse_dates(b, a, 'difference'))
    assert fuse_dates(a, b, 'concatenation').shape == (1, 6, 4, 4)


def test_consistent_labels_equal_a_search_over_pairs():
    torch.manual_seed(0)
    change, first, second = torch.randn(2, 5, 6), torch.randn(4, 5, 6), torch.randn(4, 5, 6)
    changed, before, after = consistent_labels(change, first, second)
    for i, j in itertools.product(range(5), range(6)):
        if change[1, i, j] <= change[0, i, j]:
            assert (changed[i, j], before[i, j], after[i, j]) == (0, 0, 0)
            continue
        p, q = first[:, i, j].softmax(0), second[:, i, j].softmax(0)
        pairs = [pair for pair in itertools.product(range(4), range(4)) if pair[0] != pair[1]]
        best = max(pairs, key=lambda pair: float(p[pair[0]] * q[pair[1]]))
        assert (changed[i, j], before[i, j] - 1, after[i, j] - 1) == (1, *best)


def test_consistency_of_agreeing_and_disagreeing_land_cover():
    certain = torch.full((1, 3, 2, 2), -20.0)
    certain[:, 0] = 20
    other = certain.roll(1, dims=1)
    unchanged, changed = torch.zeros(1, 4, 4, dtype=torch.long), torch.ones(1, 4, 4).long()
    assert semantic_consistency_loss(certain, certain, unchanged) == pytest.approx(0, abs=1e-5)
    assert semantic_consistency_loss(certain, certain, changed) == pytest.approx(1, abs=1e-5)
    assert semantic_consistency_loss(certain, other, changed) == pytest.approx(0, abs=1e-5)
    nothing = torch.full((1, 4, 4), 255)
    assert semantic_consistency_loss(certain, other, nothing) == 0


@pytest.mark.parametrize('kind', ['l1', 'smooth_l1', 'silog'])
def test_height_loss_equals_a_closed_form_where_known(kind):
    torch.manual_seed(0)
    # far apart on the whole, so that silog's mean counts
    predicted, truth = 30 * torch.rand(2, 1, 6, 6) + 5, 10 * torch.rand(2, 1, 6, 6)
    truth[0, :, :3] = torch.nan
    known = torch.isfinite(truth)
    p, t = predicted[known], truth[known]
    log = torch.log(p + 1) - torch.log(t + 1)
    expected = {
        'l1': (p - t).abs().mean(),
        'smooth_l1': torch.nn.functional.smooth_l1_loss(p, t),
        'silog': torch.sqrt((log**2).mean() - 0.5 * log.mean() ** 2),
    }[kind]
    assert height_loss(predicted, truth, kind) == pytest.approx(expected.item(), rel=1e-5)
    weighted = HeightLoss(kind, loss_weight=0.3)(predicted, truth)
    assert weighted == pytest.approx(0.3 * expected.item(), rel=1e-5)


def test_smooth_height_loss_is_quadratic_below_beta():
    error = torch.tensor([0.5, 1.9, 2.1, 30.0])
    for beta in (1.0, 2.0):
        expected = np.where(error < beta, error**2 / (2 * beta), error - beta / 2).mean()
        found = HeightLoss('smooth_l1', beta=beta)(error.view(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('kind', ['l1', 'smooth_l1', 'silog'])
def test_height_loss_of_nothing_has_no_nan(kind):
    predicted = torch.rand(1, 1, 4, 4, requires_grad=True)
    loss = height_loss(predicted, torch.full((1, 1, 4, 4), torch.nan), kind)
    loss.backward()
    assert loss < 1e-5 and torch.isfinite(predicted.grad).all()
