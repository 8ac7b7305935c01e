# The baseline of the quick start: mmpretrain's MAE on the RGB windows of the same data and budget.
_base_ = [
    '../_base_/models/mae_vit-b-p16.py',
    '../_base_/datasets/autzen_rgb-dsm_128.py',
    '../_base_/schedules/adamw_cpu-minutes.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modalities}}),
    backbone=dict(arch='deit-tiny', img_size={{_base_.window_size}}),
    neck=dict(
        num_patches=64,
        embed_dim=192,
        decoder_embed_dim=192,
        decoder_depth=4,
        decoder_num_heads=3,
    ),
)
train_dataloader = dict(dataset=dict(windows=dict(per_epoch=512)))
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=10),
    knn=dict(type='mssdf.KNNHook', images='tests/data/eurosat_rgb', folds=5, interval=10),
)
log_processor = dict(window_size=10)
