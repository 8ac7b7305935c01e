_base_ = [
    '../_base_/models/classifier_vit-t-p16.py',
    '../_base_/datasets/scenes_128.py',
    '../_base_/schedules/adamw-200it.py',
]

model = dict(
    data_preprocessor=dict(num_classes=10),
    backbone=dict(img_size=128),
    head=dict(num_classes=10),
    train_cfg=None,  # no Mixup, no CutMix
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=200)
)
log_processor = dict(by_epoch=False)
