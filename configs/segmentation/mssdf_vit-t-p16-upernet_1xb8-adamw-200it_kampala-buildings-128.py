_base_ = [
    '../_base_/models/upernet_vit-t-p16.py',
    '../_base_/datasets/buildings_128.py',
    '../_base_/schedules/adamw-200it.py',
]

# half of the neck's and the heads' width: on a CPU they would take most of the time
widths = [96] * 4
model = dict(
    backbone=dict(img_size=128),
    neck=dict(out_channels=96),
    decode_head=dict(in_channels=widths, channels=64, num_classes=2),
    auxiliary_head=dict(in_channels=96, channels=32, num_classes=2),
)
default_hooks = dict(checkpoint=dict(interval=200))
