# Small images by class at 128 px, augmented lightly: in some hundred iterations RandAugment, Mixup
# and CutMix hold back more than they help. EuroSAT's classes here; tools give others.
_base_ = [
    '../_base_/models/classifier_vit-b-p16.py',
    '../_base_/datasets/eurosat.py',
    '../_base_/schedules/adamw-200it.py',
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=128,
        crop_ratio_range=(0.5, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 128), backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs'),
]
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=8,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(pipeline=train_pipeline),
    **loader,
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline), **loader)
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=dict(num_classes=_base_.num_classes),
    backbone=dict(_base_.tiny.backbone, img_size=128),
    head=dict(_base_.tiny.head, num_classes=_base_.num_classes),
    train_cfg=None,  # no Mixup, no CutMix
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=200)
)
log_processor = dict(by_epoch=False)
