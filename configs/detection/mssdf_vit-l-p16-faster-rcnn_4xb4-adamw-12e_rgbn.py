_base_ = ['./mssdf_vit-b-p16-faster-rcnn_4xb4-adamw-12e_rgbn.py']

model = dict(
    backbone=dict(arch='large', drop_path_rate=0.4),
    neck=dict(in_channels=1024),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
