"""Pre-training of a few seconds over given scenes, for tests of damaged data."""

from typing import Any

import torch
from mmengine.config import Config
from option_groups import merged
from torch import nn

MODALITIES = dict(rgb=dict(bands=[1, 2, 3]), dsm=dict(bands=[1]))
PREPROCESSOR = dict(
    type='mssdf.MaskingDataPreprocessor',
    modalities=dict(
        rgb=dict(mean=[120.0] * 3, std=[50.0] * 3),
        dsm=dict(mean=[0.0], std=[10.0], relative_to_median=True),
    ),
    cross_modal=dict(target='dsm'),
)


def tiny_pretraining(
    scenes: list[dict],
    work_dir: str,
    *,
    size: int = 64,
    batch_size: int = 8,
    epochs: int = 1,
    workers: int = 0,
    **dataset: Any,
) -> Config:
    """Make the config of a ViT with two layers on windows of ``size`` px.

    Further options go to the dataset.
    """
    decoder = dict(embed_dims=24, num_layers=1, num_heads=3)
    settings = dict(
        type='mssdf.MultiModalRasterDataset',
        scenes=scenes,
        modalities=MODALITIES,
        windows=dict(size=size),
        reading=dict(retry_seconds=0.0),
        index=dict(cache_dir=''),
        pipeline=[
            dict(type='mssdf.MultiModalRandomFlip'),
            dict(type='mssdf.MultiModalColorJitter'),
            dict(type='mssdf.PackMultiModalInputs'),
        ],
    )

    return Config(
        dict(
            default_scope='mssdf',
            custom_imports=dict(imports=['mssdf']),
            work_dir=work_dir,
            model=dict(
                type='mssdf.MSSDF',
                data_preprocessor=PREPROCESSOR,
                backbone=dict(
                    type='mssdf.MaskedVisionTransformer',
                    arch=dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96),
                    img_size=size,
                    patch_size=16,
                ),
                embedding=dict(type='mssdf.PerModalityPatchEmbedding'),
                fusion_decoder=dict(type='mssdf.FusionDecoder', **decoder),
                modality_decoder=dict(type='mssdf.ModalityDecoder', **decoder),
                losses=dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=1.0),
            ),
            train_dataloader=dict(
                batch_size=batch_size,
                num_workers=workers,
                sampler=dict(type='mssdf.ResumableSampler', shuffle=True),
                collate_fn=dict(type='mssdf.multimodal_collate'),
                dataset=merged(settings, dataset),
            ),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
            train_cfg=dict(type='mssdf.ResumableEpochTrainLoop', max_epochs=epochs),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)),
            log_processor=dict(type='mssdf.CompactLogProcessor', window_size=1),
            custom_hooks=[
                dict(
                    type='mssdf.ScheduleHook',
                    teacher=dict(momentum=dict(type='Cosine', start=0.9, end=1.0)),
                ),
                dict(type='mssdf.TeacherHook'),
            ],
            randomness=dict(seed=0),
        )
    )


def non_finite(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """List the weights, buffers and moments that hold a NaN or an infinity."""
    state = dict(model.state_dict())
    for number, values in enumerate(optimizer.state.values()):
        state.update({f'{key} {number}': value for key, value in values.items()})
    return [
        name
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and not torch.isfinite(value).all()
    ]
