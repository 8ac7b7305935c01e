"""A pre-training that takes a second."""

import itertools
from collections.abc import Callable
from pathlib import Path

import own_masks
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

MODALITIES = dict(
    rgb=dict(mean=[120.0] * 3, std=[50.0] * 3),
    dsm=dict(mean=[0.0], std=[10.0], relative_to_median=True),
)
ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def tiny_dict(data_root: Path) -> dict:
    """ViT of two layers on 64 px windows of Autzen: 3 epochs of 6 iterations of 2 pairs."""
    return dict(
        model=dict(
            type='mssdf.MSSDF',
            data_preprocessor=dict(
                type='mssdf.MaskingDataPreprocessor',
                modalities=MODALITIES,
                cross_modal=dict(target='dsm'),
            ),
            backbone=dict(
                type='mssdf.MaskedVisionTransformer',
                arch=ARCH,
                img_size=64,
                patch_size=16,
                drop_rate=0.1,
                drop_path_rate=0.1,
            ),
            embedding=dict(type='mssdf.PerModalityPatchEmbedding'),
            fusion_decoder=dict(
                type='mssdf.FusionDecoder', embed_dims=24, num_layers=1, num_heads=3
            ),
            modality_decoder=dict(
                type='mssdf.ModalityDecoder', embed_dims=24, num_layers=1, num_heads=3
            ),
            losses=dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=1.0),
            monitor_interval=5,
        ),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            drop_last=True,
            sampler=dict(type='mssdf.ResumableSampler', shuffle=True),
            collate_fn=dict(type='mssdf.multimodal_collate'),
            dataset=dict(
                type='mssdf.MultiModalRasterDataset',
                data_root=str(data_root / 'autzen'),
                index=dict(cache_dir=''),
                windows=dict(size=64, mode='random', per_epoch=12),
                modalities=dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif')),
                pipeline=[
                    dict(type='mssdf.MultiModalRandomResizedCrop', size=64, scale=(0.3, 1.0)),
                    dict(type='mssdf.MultiModalRandomFlip'),
                    dict(type='mssdf.MultiModalColorJitter'),
                    dict(type='mssdf.PackMultiModalInputs'),
                ],
            ),
        ),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95))),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=5),
            dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=3),
        ],
        train_cfg=dict(type='mssdf.ResumableEpochTrainLoop', max_epochs=3),
        default_hooks=dict(
            checkpoint=dict(
                type='mssdf.AtomicCheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=3
            ),
            logger=dict(type='LoggerHook', interval=2),
        ),
        custom_hooks=[
            dict(type='mssdf.IterationSeedHook'),
            dict(
                type='mssdf.ScheduleHook',
                masking=dict(
                    p=dict(
                        type='Staircase',
                        start=0.1,
                        increment=0.1,
                        every=1,
                        maximum=0.7,
                        by_epoch=True,
                    )
                ),
                teacher=dict(momentum=dict(type='Cosine', start=0.9, end=1.0)),
            ),
            dict(type='mssdf.TeacherHook'),
            dict(type='mssdf.ThroughputHook'),
        ],
        log_processor=dict(type='mssdf.CompactLogProcessor', window_size=2),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        env_cfg=dict(cudnn_benchmark=False),
        randomness=dict(seed=3),
        log_level='INFO',
    )


@pytest.fixture(scope='session')
def make_config(data_root: Path) -> Callable[[Path], Config]:
    """The tiny pre-training, to be changed at will, with its work directory below a folder."""
    return lambda folder: Config(dict(tiny_dict(data_root), work_dir=str(folder / 'run')))


@pytest.fixture
def tiny_config(make_config, tmp_path: Path) -> Config:
    """The tiny pre-training; its work directory is ``tmp_path/run``."""
    return make_config(tmp_path)


_names = itertools.count()


@pytest.fixture(scope='session')
def build_runner() -> Callable[[Config], Runner]:
    """Runners that share no logger, message hub or visualizer with earlier ones."""
    torch.set_num_threads(1)

    def build(config: Config) -> Runner:
        return Runner.from_cfg(Config(dict(config, experiment_name=f'run{next(_names)}')))

    return build


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the small segmentation of ``own_masks.py`` reads, beside its config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MSSDF_DATA', raising=False)
    torch.set_num_threads(1)
    (tmp_path / 'own.py').write_text(own_masks.CONFIG)
    return tmp_path / 'own'
