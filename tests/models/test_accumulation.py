"""Gradients accumulated over parts of a batch against the batch at once."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from .test_distributed import half
from .tiny import tiny_batch, tiny_model


def trained(losses: dict[str, float], parts: int):
    """Weights after three steps; each of one batch, or of its halves, with the same masks."""
    model = tiny_model(losses=losses, monitor_interval=0)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    wrapper = OptimWrapper(optimizer, accumulative_counts=parts)
    wrapper.initialize_count_status(model, 0, 3 * parts)
    for step in range(3):
        torch.manual_seed(step)
        batch = model.data_preprocessor(tiny_batch(4, seed=step))['inputs']
        for part in [batch] if parts == 1 else [half(batch, rank) for rank in range(parts)]:
            wrapper.update_params(model.loss(part)['loss'])
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize('term', ['rec', 'pix', 'cls'])
def test_terms_of_single_windows_are_those_of_the_whole_batch(term):
    losses = dict.fromkeys(('rec', 'align', 'hsic', 'cls', 'pix'), 0.0) | {term: 1.0}
    start = {n: p.detach() for n, p in tiny_model(losses=losses).named_parameters()}
    whole, parts = trained(losses, 1), trained(losses, 2)
    assert max((whole[name] - start[name]).abs().max() for name in whole) > 1e-3
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize('term', ['align', 'hsic'])
def test_pairwise_terms_are_not(term):
    """A part of the batch has fewer negatives, and its own covariance: docs/results/scaling.md."""
    losses = dict.fromkeys(('rec', 'align', 'hsic', 'cls', 'pix'), 0.0) | {term: 1.0}
    whole, parts = trained(losses, 1), trained(losses, 2)
    assert max((whole[name] - parts[name]).abs().max() for name in whole) > 1e-5
