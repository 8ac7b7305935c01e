"""Heads that start at zero, and L_pix on real heights: the encoder goes on learning."""

from pathlib import Path

import pytest
import rasterio
import torch
import torch.nn.functional as F

from mssdf.models.losses import masked_pixel_loss, patchify

from .tiny import ALL_LOSSES, tiny_config, tiny_model

SCENE = Path(__file__).parents[1] / 'data/autzen/patch'
STATISTICS = dict(
    rgb=dict(mean=[139.7, 140.1, 124.9], std=[44.7, 37.0, 34.0]),
    dsm=dict(mean=[0.0], std=[8.0], relative_to_median=True),
)
OURS = dict(
    losses=dict.fromkeys(ALL_LOSSES, 0.0) | dict(pix=1.0),
    pixel_target=dict(dsm='raw'),
    **{'data_preprocessor.mask_ratio': 0.5, 'embedding.type': 'mssdf.PerModalityPatchEmbedding'},
)


def real_batch(count: int = 16, size: int = 64) -> dict:
    """Windows of Eugene, Oregon, in a grid."""
    inputs, valid = {}, {}
    for name, suffix in (('rgb', 'dom'), ('dsm', 'dsm')):
        with rasterio.open(SCENE / f'autzen_{suffix}.tif') as raster:
            values = torch.from_numpy(raster.read()).float()
            known = torch.from_numpy(raster.dataset_mask() > 0)[None]
        places = [(r, c) for r in range(0, 4 * size, size) for c in range(0, 4 * size, size)]
        crop = [(slice(None), slice(r, r + size), slice(c, c + size)) for r, c in places[:count]]
        inputs[name] = torch.stack([values[place] for place in crop])
        valid[name] = torch.stack([known[place] for place in crop])
    return dict(inputs=inputs, valid=valid, data_samples=None)


def build(seed: int = 0, **settings):
    from mssdf.registry import MODELS

    torch.manual_seed(seed)
    config = tiny_config(**(OURS | settings))
    config.data_preprocessor.modalities = STATISTICS
    config.data_preprocessor.cross_modal = None
    model = MODELS.build(config)
    model.init_weights()
    return model.train()


def encoder_gradient(model, batch) -> float:
    model.zero_grad()
    model.loss(batch)['loss'].backward()
    parts = [p.grad.norm() for p in model.backbone.parameters() if p.grad is not None]
    return torch.stack(parts).norm().item()


def largest_gradients(model, steps: int = 50) -> tuple[float, float]:
    """Of the encoder, over the first ten steps and over the last ten of ``steps``."""
    torch.manual_seed(1)
    data = real_batch()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=1e-3, betas=(0.9, 0.95)
    )
    norms = []
    for _ in range(steps):
        norms.append(encoder_gradient(model, model.data_preprocessor(data)['inputs']))
        optimizer.step()
    return max(norms[:10]), max(norms[-10:])


def test_the_encoder_still_learns_from_pixels_after_fifty_steps():
    begin, end = largest_gradients(build())
    assert end > begin / 3

    # the same model with a head that predicts noise: silenced within fifty steps
    noisy = build(pixel_target={})
    for layer in noisy.pixel_head.layers.values():
        torch.nn.init.xavier_uniform_(layer.weight)
    begin, end = largest_gradients(noisy)
    assert end < begin / 4


def test_heads_of_pixels_and_features_start_at_zero():
    model = build(losses=ALL_LOSSES)
    for layer in (model.feature_head, *model.pixel_head.layers.values()):
        assert not layer.weight.any()
        assert not layer.bias.any()
    batch = model.data_preprocessor(real_batch())['inputs']
    losses = model.loss(batch)
    losses['loss'].backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    # predicting zero is the mean of normalized pixels: a variance of one, a band left flat less
    assert 0.5 < losses['pix'].item() < 2.5


def test_raw_heights_are_compared_in_units_of_their_scale():
    model = build()
    data = real_batch(4)
    data['valid']['dsm'][0, :, :20] = False
    batch = model.data_preprocessor(data)['inputs']
    predicted = torch.randn(4, 16, 256)
    mask = torch.rand(4, 16) > 0.5
    found = masked_pixel_loss(
        predicted, batch.images['dsm'], batch.pixel_valid['dsm'], mask, 16, target='raw'
    )
    for window in range(4):
        heights = data['inputs']['dsm'][window, 0]
        known = data['valid']['dsm'][window, 0]
        relative = (heights - heights[known].median()) / 8.0
        patches = patchify(relative[None, None], 16)[0, :, :, 0]
        valid = patchify(known[None, None], 16)[0, :, :, 0]
        losses = [
            F.smooth_l1_loss(predicted[window, q][valid[q]], patches[q][valid[q]])
            if valid[q].any()
            else torch.tensor(0.0)
            for q in mask[window].nonzero()[:, 0]
        ]
        expected = torch.stack(losses).mean().item() if losses else 0.0
        assert found[window].item() == pytest.approx(expected, rel=1e-4)


def test_wrong_targets_name_the_key():
    with pytest.raises(ValueError, match=r"pixel_target\.dsm: expected one of .* found 'meters'"):
        tiny_model(pixel_target=dict(dsm='meters'))
