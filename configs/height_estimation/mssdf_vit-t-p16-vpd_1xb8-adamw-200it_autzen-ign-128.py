# Heights above ground on windows of 128 px: Autzen's and IGN's, as
# `tools/dataset_tools/make_examples.py DIR autzen-ign-heights` lays them out, or yours.
_base_ = [
    '../_base_/models/height_vit-b-p16.py',
    '../_base_/datasets/us3d.py',
    '../_base_/schedules/adamw-200it.py',
]

max_height = 50.0
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mssdf.LoadHeight'),
    dict(type='RandomCrop', crop_size=(128, 128)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
loader = dict(num_workers=0, persistent_workers=False)
dataset = dict(data_root='data/autzen-ign-heights')
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler'), dataset=dict(pipeline=train_pipeline, **dataset), **loader
)
val_dataloader = dict(dataset=dataset, **loader)
test_dataloader = val_dataloader
val_evaluator = dict(maximum=max_height)
test_evaluator = val_evaluator

# half the width of the neck and a quarter of that of the head, which answers at stride 1: on a CPU
# they would take most of the time
widths = [96] * 4
model = dict(
    backbone=dict(_base_.tiny.backbone, img_size=128),
    neck=dict(_base_.tiny.neck, out_channels=96),
    decode_head=dict(in_channels=widths, embed_dim=24, feature_dim=192, max_depth=max_height),
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=200)
)
log_processor = dict(by_epoch=False)
