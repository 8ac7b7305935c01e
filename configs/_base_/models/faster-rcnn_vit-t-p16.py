_base_ = ['./faster-rcnn_vit-b-p16.py']

model = dict(
    backbone=dict(arch='deit-tiny', drop_path_rate=0.0),
    neck=dict(in_channels=192),
)
