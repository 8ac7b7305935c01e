_base_ = ['./mssdf_vit-b-p16-faster-rcnn_4xb4-adamw-12e_rgbn.py']

model = dict(
    backbone=dict(arch='deit-tiny', drop_path_rate=0.0),
    neck=dict(in_channels=192),
)
