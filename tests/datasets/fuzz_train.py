"""Pre-trains a small model on damaged files that could be opened; see test_raster_fuzz.py.

Usage: fuzz_train.py JOBS.json WORK_DIR: prints a line of JSON with what the training met.
"""

import json
import sys
from pathlib import Path

import torch
from fuzz_worker import MODALITIES, PREPROCESSOR, WINDOW
from mmengine.config import Config
from mmengine.runner import Runner

import mssdf.models  # noqa: F401  registers


def config_of(jobs: list[dict], work_dir: str) -> Config:
    """One epoch over the windows of all files, each beside a good one."""
    scenes = [
        {**job['good'], job['kind']: job['path'], 'name': Path(job['path']).stem} for job in jobs
    ]
    decoder = dict(embed_dims=24, num_layers=1, num_heads=3)
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
                    img_size=WINDOW,
                    patch_size=16,
                ),
                embedding=dict(type='mssdf.PerModalityPatchEmbedding'),
                fusion_decoder=dict(type='mssdf.FusionDecoder', **decoder),
                modality_decoder=dict(type='mssdf.ModalityDecoder', **decoder),
                losses=dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=1.0),
            ),
            train_dataloader=dict(
                batch_size=8,
                num_workers=0,
                sampler=dict(type='mssdf.ResumableSampler', shuffle=True),
                collate_fn=dict(type='mssdf.multimodal_collate'),
                dataset=dict(
                    type='mssdf.MultiModalRasterDataset',
                    scenes=scenes,
                    modalities=MODALITIES,
                    window_size=WINDOW,
                    # one window of each file: 128 px have room for no second
                    windows=dict(stride=128 - WINDOW),
                    max_failed_share=0.9,
                    read_attempts=2,
                    retry_seconds=0.0,
                    cache_dir='',
                    pipeline=[
                        dict(type='mssdf.MultiModalRandomFlip'),
                        dict(type='mssdf.MultiModalColorJitter'),
                        dict(type='mssdf.PackMultiModalInputs'),
                    ],
                ),
            ),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
            train_cfg=dict(type='mssdf.ResumableEpochTrainLoop', max_epochs=1),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)),
            log_processor=dict(type='mssdf.CompactLogProcessor', window_size=1),
            custom_hooks=[
                dict(type='mssdf.ProgressHook'),
                dict(type='mssdf.TeacherMomentumHook', start=0.9, end=1.0),
            ],
            randomness=dict(seed=0),
            log_level='WARNING',
        )
    )


def main() -> None:
    jobs, work_dir = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]
    torch.set_num_threads(1)
    runner = Runner.from_cfg(config_of(jobs, work_dir))
    model = runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    state = {**model.state_dict()}
    for values in runner.optim_wrapper.optimizer.state.values():
        state.update({f'optimizer {len(state)}': v for v in values.values()})
    failures = runner.train_dataloader.dataset._failures
    print(
        json.dumps(
            dict(
                iterations=runner.iter,
                losses=[float(loss) for loss in losses],
                non_finite=[
                    name
                    for name, value in state.items()
                    if isinstance(value, torch.Tensor) and not torch.isfinite(value).all()
                ],
                scenes=len(runner.train_dataloader.dataset.scenes),
                failed_files=len(failures.failed),
                reads=failures.reads,
            )
        )
    )


if __name__ == '__main__':
    main()
