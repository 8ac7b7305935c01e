_base_ = [
    '../_base_/models/upernet_vit-b-p16.py',
    '../_base_/datasets/buildings_128.py',
    '../_base_/schedules/adamw-200it.py',
]

# half of the neck's and the heads' width: on a CPU they would take most of the time
widths = [96] * 4
model = dict(
    backbone=dict(_base_.tiny.backbone, img_size=128),
    neck=dict(_base_.tiny.neck, out_channels=96),
    decode_head=dict(in_channels=widths, channels=64, num_classes=_base_.num_classes),
    auxiliary_head=dict(in_channels=96, channels=32, num_classes=_base_.num_classes),
)
default_hooks = dict(checkpoint=dict(interval=200))
