"""Checkpoints of tiny encoders, as training runs leave them."""

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

import mssdf.models  # noqa: F401

ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)
STATISTICS = dict(
    rgb=dict(mean=[100.0, 110.0, 120.0], std=[50.0, 55.0, 60.0]),
    dsm=dict(mean=[0.0], std=[8.0], relative_to_median=True),
)


def write_ours(path, seed=0, noise=0.1, embedding='PerModalityPatchEmbedding'):
    """An encoder of ours with a patch embedding of heights; also a teacher and a head."""
    model = dict(
        data_preprocessor=dict(modalities=STATISTICS),
        backbone=dict(type='mssdf.MaskedVisionTransformer', arch=ARCH, img_size=64),
        embedding=dict(type=f'mssdf.{embedding}'),
    )
    return _write(path, model, seed, noise, embedded=True)


def write_mae(path, seed=0, noise=0.1):
    """An encoder of mmpretrain's MAE on the colors."""
    model = dict(
        data_preprocessor=dict(modalities=STATISTICS),
        backbone=dict(type='mmpretrain.MAEViT', arch=ARCH, img_size=64, mask_ratio=0.75),
    )
    return _write(path, model, seed, noise, embedded=False)


def _write(path, model, seed, noise, embedded):
    # not for the tests that come after
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        _build_and_write(path, model, seed, noise, embedded)
    return path


def _build_and_write(path, model, seed, noise, embedded):
    config = Config(dict(model=model, randomness=dict(seed=seed)))
    torch.manual_seed(seed + 1000)
    backbone = MODELS.build(config.model.backbone)
    backbone.init_weights()
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    if embedded:
        described = dict(
            config.model.embedding,
            channels=dict(rgb=3, dsm=1),
            primary='rgb',
            embed_dims=48,
            patch_size=16,
        )
        weights = MODELS.build(described).state_dict()
        state |= {f'embedding.{key}': value for key, value in weights.items()}
    for name, value in state.items():
        if 'pos_embed' not in name:
            state[name] = value + noise * torch.randn_like(value)
    for name, settings in STATISTICS.items():
        for key in ('mean', 'std'):
            state[f'data_preprocessor.{key}_{name}'] = torch.tensor(settings[key]).view(-1, 1, 1)
    state['teacher.backbone.cls_token'] = torch.full((1, 1, 48), torch.nan)
    state['pixel_head.weight'] = torch.zeros(1)
    torch.save(dict(meta=dict(cfg=config.pretty_text), state_dict=state), path)
    return path
