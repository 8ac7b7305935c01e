"""L_inst and L_disc against plain loops."""

import numpy as np
import pytest
import torch

from mssdf.models.losses import discrimination_loss, instance_loss

from .tiny import ALL_LOSSES, drop, tiny_batch, tiny_model

ONLY = dict.fromkeys(ALL_LOSSES, 0.0)  # but for one term


def cosines(first, second):
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return first @ second.T


def test_instance_loss_equals_a_loop_over_windows():
    rng = np.random.default_rng(0)
    views = list(rng.normal(size=(4, 7, 5)))
    present = list(rng.uniform(size=(4, 7)) > 0.25)
    pairs = [(0, 2), (0, 3), (1, 2), (1, 3)]
    total = 0.0
    for first, second in pairs:
        both = np.flatnonzero(present[first] & present[second])
        logits = cosines(views[first][both], views[second][both]) / 0.1
        losses = []
        for index in range(len(both)):
            row, column = logits[index], logits[:, index]
            losses.append(np.log(np.exp(row).sum()) - row[index])
            losses.append(np.log(np.exp(column).sum()) - column[index])
        total += np.mean(losses)
    found = instance_loss(
        [torch.tensor(view) for view in views], [torch.tensor(one) for one in present], pairs
    )
    assert found.item() == pytest.approx(total / len(pairs), rel=1e-4)

    parts = [
        instance_loss(
            [torch.tensor(view) for view in views],
            [torch.tensor(one) for one in present],
            pairs,
            anchors=torch.arange(start, 7, 2),
        )
        for start in range(2)
    ]
    assert sum(parts).item() == pytest.approx(found.item(), rel=1e-5)


def test_instance_loss_of_one_window_is_zero():
    view = torch.randn(3, 8, requires_grad=True)
    present = torch.tensor([False, True, False])
    loss = instance_loss([view, view * 2], [present, present], [(0, 1)])
    loss.backward()
    assert loss == 0
    assert torch.isfinite(view.grad).all()


def test_discrimination_loss_equals_a_loop_over_patches():
    rng = np.random.default_rng(1)
    predicted, target = rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 9, 6))
    locations = np.stack([rng.permutation(9)[:5] for _ in range(3)])
    mask = rng.uniform(size=(3, 5)) > 0.4
    mask[2] = False
    valid = rng.uniform(size=(3, 9)) > 0.3
    expected = []
    for window in range(3):
        losses = []
        for place in np.flatnonzero(mask[window]):
            right = locations[window, place]
            choices = np.flatnonzero(valid[window] | (np.arange(9) == right))
            logits = cosines(predicted[window, [place]], target[window, choices])[0] / 0.1
            losses.append(np.log(np.exp(logits).sum()) - logits[list(choices).index(right)])
        expected.append(np.mean(losses) if losses else 0.0)
    found = discrimination_loss(
        *(torch.tensor(one) for one in (predicted, target, locations, mask, valid))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize('queries', ['all', 'hidden'])
def test_the_model_discriminates_frozen_projections_of_its_patches(queries):
    model = tiny_model(losses=ONLY | dict(disc=1.0), **{'modality_decoder.queries': queries})
    assert not any(p.requires_grad for p in model.patch_projection.parameters())
    batch = model.data_preprocessor(drop(tiny_batch(3), 'dsm', [1]))['inputs']
    found = model.loss(batch)['disc']
    decoded = model.decode_batch(model.encode(batch), batch)
    expected = 0.0
    for name, one in decoded.items():
        weight = model.patch_projection.layers[name].weight
        for window in range(3):
            losses = []
            image = batch.images[name][window]
            for place in range(16):
                row, column = divmod(place, 4)
                if not (batch.masks[name] & batch.patch_valid[name])[window, place]:
                    continue
                where = (
                    place if one.locations is None else one.locations[window].tolist().index(place)
                )
                query = model.patch_head(one.tokens[window, where])
                logits = []
                for other in range(16):
                    r, c = divmod(other, 4)
                    patch = image[:, 16 * r : 16 * r + 16, 16 * c : 16 * c + 16]
                    key = weight @ patch.permute(1, 2, 0).flatten()
                    logits.append(torch.cosine_similarity(query, key, dim=0) / 0.1)
                losses.append(torch.stack(logits).logsumexp(0) - logits[4 * row + column])
            if losses:
                expected += torch.stack(losses).mean() / 3
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_without_a_second_view_the_modalities_of_a_window_are_compared():
    model = tiny_model(losses=ONLY | dict(inst=1.0), instance=dict(pool='mean', projector=8))
    batch = model.data_preprocessor(drop(tiny_batch(5), 'dsm', [2]))['inputs']
    found = model.loss(batch)['inst']
    pooled = {}
    for name, one in model.encode(batch).items():
        tokens = torch.stack(
            [
                one.tokens[b][one.keep[b]].mean(0) if one.keep[b].any() else one.cls_token[b] * 0
                for b in range(5)
            ]
        )
        pooled[name] = model.instance_head('all', tokens)[[0, 1, 3, 4]].detach().numpy()
    logits = cosines(pooled['rgb'], pooled['dsm']) / 0.1
    entropy = np.log(np.exp(logits).sum(1)) + np.log(np.exp(logits).sum(0)) - 2 * np.diag(logits)
    assert found.item() == pytest.approx(entropy.mean() / 2, rel=1e-4)


def test_wrong_settings_name_the_key():
    with pytest.raises(ValueError, match='instance.pool: expected one of'):
        tiny_model(losses=ONLY | dict(inst=1.0), instance=dict(pool='max'))
    with pytest.raises(ValueError, match=r"discrimination: expected some of .*found \['tau'\]"):
        tiny_model(losses=ONLY | dict(disc=1.0), discrimination=dict(tau=0.1))
    with pytest.raises(ValueError, match=r'losses\.inst: expected several modalities'):
        tiny_model(('rgb',), losses=ONLY | dict(inst=1.0))
