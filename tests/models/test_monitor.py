"""What the monitor logs: share of position, gradients of the terms."""

import numpy as np
import pytest
import torch

from mssdf.models.selfsup.monitor import feature_monitor, gradient_norms, position_share

from .tiny import ALL_LOSSES, tiny_batch, tiny_model


def numpy_share(tokens, keep):
    """One minus the ratio of the mean squares within locations and in all, of tokens (B, N, D)."""
    within, freedom, everyone = 0.0, 0, []
    for place in range(tokens.shape[1]):
        values = tokens[keep[:, place], place]
        if len(values) > 1:
            within += ((values - values.mean(0)) ** 2).sum()
            freedom += len(values) - 1
            everyone.append(values)
    values = np.concatenate(everyone)
    total = ((values - values.mean(0)) ** 2).sum() / (len(values) - 1)
    return 1 - (within / freedom) / total


def test_position_share_equals_numpy():
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(1, 12, 5))
    tokens = positions + 0.7 * rng.normal(size=(9, 12, 5))
    keep = rng.uniform(size=(9, 12)) > 0.5
    keep[:, 3] = False
    keep[0, 3] = True  # a location seen once says nothing
    spoiled = torch.tensor(np.where(keep[..., None], tokens, 1e3)).float()
    found = position_share(spoiled, torch.tensor(keep))
    assert found.item() == pytest.approx(numpy_share(tokens, keep), abs=1e-3)


def test_position_share_of_codes_and_of_noise():
    codes = torch.randn(1, 16, 8).expand(32, -1, -1)
    keep = torch.rand(32, 16) > 0.5
    assert position_share(codes, keep).item() == pytest.approx(1.0, abs=1e-4)
    shares = [position_share(torch.randn(4, 16, 8), torch.ones(4, 16).bool()) for _ in range(50)]
    assert torch.stack(shares).mean() < 0.05  # not the quarter that four windows give by chance
    assert position_share(torch.randn(1, 16, 8), torch.ones(1, 16).bool()) == 0


def test_shares_of_position_and_window_add_up():
    positions, windows = torch.randn(1, 16, 8), torch.randn(32, 1, 8)
    keep = torch.ones(32, 16, dtype=torch.bool)
    log = feature_monitor([positions + 2 * windows], [keep], 'student')
    assert log['position_student'].item() == pytest.approx(0.2, abs=0.08)
    assert log['window_student'].item() == pytest.approx(0.8, abs=0.08)
    codes = feature_monitor([windows.expand(-1, 16, -1)], [keep], 'student')
    assert codes['window_student'].item() == pytest.approx(1.0, abs=1e-4)


def test_gradients_of_the_terms_are_autograds():
    model = tiny_model(losses=ALL_LOSSES, monitor_gradients=True)
    batch = model.data_preprocessor(tiny_batch(3))['inputs']
    torch.manual_seed(0)
    losses = model.loss(batch)
    assert {f'grad_{name}' for name in ALL_LOSSES} <= set(losses)
    for name, weight in ALL_LOSSES.items():
        alone = tiny_model(losses=ALL_LOSSES, monitor_interval=0)
        outputs = []
        encode = alone.encode

        def keep(batch, encode=encode, outputs=outputs):
            encoded = encode(batch)
            for one in encoded.values():
                for value in (one.tokens, one.cls_token):
                    value.retain_grad()
                    outputs.append(value)
            return encoded

        alone.encode = keep
        (weight * alone.loss(batch)[name]).backward()
        squares = [value.grad.square().sum() for value in outputs if value.grad is not None]
        expected = torch.stack(squares).sum().sqrt()
        torch.testing.assert_close(losses[f'grad_{name}'], expected, rtol=1e-3, atol=1e-7)
    losses['loss'].backward()  # the graph is still there


def test_a_term_that_does_not_reach_the_encoder_has_no_gradient():
    feature = torch.randn(3, requires_grad=True)
    norms = gradient_norms(dict(a=(2 * feature).sum(), b=torch.tensor(1.0)), [feature])
    assert norms['grad_a'].item() == pytest.approx(12**0.5)
    assert norms['grad_b'] == 0


def test_both_views_count():
    settings = {'data_preprocessor.second_view': dict(kind='masking')}
    losses = dict.fromkeys(ALL_LOSSES, 0.0) | dict(inst=1.0)
    model = tiny_model(losses=losses, monitor_gradients=True, **settings)
    batch = model.data_preprocessor(tiny_batch(3))['inputs']
    norm = model.loss(batch)['grad_inst']

    encode, outputs = model.encode, []

    def keep(batch):
        encoded = encode(batch)
        for one in encoded.values():
            one.cls_token.retain_grad()
            outputs.append(one.cls_token)
        return encoded

    model.encode = keep
    model.monitor_interval = 0
    model.loss(batch)['inst'].backward()
    assert len(outputs) == 4  # two modalities in two views
    expected = torch.stack([value.grad.square().sum() for value in outputs]).sum().sqrt()
    torch.testing.assert_close(norm, expected, rtol=1e-4, atol=1e-7)


def test_gradients_of_compiled_layers_are_refused():
    model = tiny_model(losses=ALL_LOSSES, monitor_gradients=True)
    model.backbone.layers[0].compile(backend='eager')
    batch = model.data_preprocessor(tiny_batch(2))['inputs']
    with pytest.raises(ValueError, match='monitor_gradients: expected a model that is neither'):
        model.loss(batch)
