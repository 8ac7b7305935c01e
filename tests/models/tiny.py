"""A small MSSDF and batches for it, for tests."""

import logging
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmengine import Config

import mssdf.models  # noqa: F401  registers
from mssdf.contest.method_hooks import Scalars
from mssdf.engine import ScheduleHook
from mssdf.models import MSSDF
from mssdf.registry import MODELS

logging.getLogger('mmengine').setLevel(logging.WARNING)  # it lists every weight it initializes
CONFIG = Path(__file__).parents[2] / 'configs/_base_/models/mssdf-paper_vit-b-p16.py'
ARCH = dict(embed_dims=48, num_layers=3, num_heads=3, feedforward_channels=96)
MODALITIES = dict(
    rgb=dict(mean=[110.0] * 3, std=[50.0] * 3),
    dsm=dict(mean=[0.0], std=[10.0], relative_to_median=True),
    ms=dict(mean=[300.0] * 5, std=[100.0] * 5),
)
ALL_LOSSES = dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=1.0)


def tiny_config(modalities=('rgb', 'dsm'), size: int = 64, **settings) -> Config:
    """The base config, shrunk."""
    model = Config.fromfile(CONFIG).model
    model.data_preprocessor.modalities = {name: deepcopy(MODALITIES[name]) for name in modalities}
    model.backbone.update(arch=deepcopy(ARCH), img_size=size)
    model.fusion_decoder.update(embed_dims=32, num_layers=2, num_heads=2)
    model.modality_decoder.update(embed_dims=32, num_layers=2, num_heads=2)
    if 'dsm' not in modalities:
        model.data_preprocessor.cross_modal = None
    config = Config(dict(model=model))
    config.merge_from_dict({f'model.{key}': value for key, value in settings.items()})
    return config.model


def tiny_model(modalities=('rgb', 'dsm'), size: int = 64, seed: int = 0, **settings) -> MSSDF:
    """A small model with random weights, the teacher's a little off the student's."""
    torch.manual_seed(seed)
    model = MODELS.build(tiny_config(modalities, size, **settings))
    model.init_weights()
    for parameter in model.parameters():  # no zeros that would hide a term
        if parameter.requires_grad:
            parameter.data.add_(0.02 * torch.randn_like(parameter))
    return model.train()


def move(model: MSSDF, iteration: int, max_iters: int | None = None, **targets: Any) -> None:
    """Move the model's scheduled values to an iteration, as a runner does."""
    runner: Any = SimpleNamespace(
        model=model, iter=iteration, epoch=0, max_iters=max_iters, message_hub=Scalars()
    )
    ScheduleHook(**targets).before_train_iter(runner, 0)


def tiny_batch(
    batch_size: int = 4, modalities=('rgb', 'dsm'), size: int = 64, seed: int = 0
) -> dict:
    """A collated batch; every window has every modality."""
    generator = torch.Generator().manual_seed(seed)
    inputs, valid = {}, {}
    for name in modalities:
        shape = (batch_size, len(MODALITIES[name]['mean']), size, size)
        if name == 'rgb':
            inputs[name] = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        else:
            inputs[name] = torch.rand(shape, generator=generator) * 60 + 200
        valid[name] = torch.ones(batch_size, 1, size, size, dtype=torch.bool)
    return dict(inputs=inputs, valid=valid, data_samples=None)


def drop(batch: dict, modality: str, windows) -> dict:
    """The same batch with a modality missing in some windows."""
    batch = deepcopy(batch)
    batch['inputs'][modality][windows] = 0
    batch['valid'][modality][windows] = False
    return batch
