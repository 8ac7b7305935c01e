_base_ = [
    '../_base_/models/classifier_vit-b-p16.py',
    '../_base_/datasets/scenes_128.py',
    '../_base_/schedules/adamw-200it.py',
]

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
