_base_ = ['./linear-probe_vit-b-p16.py']

model = dict(
    backbone=dict(arch='deit-tiny', frozen_stages=12),
    neck=dict(input_features=192),
    head=dict(in_channels=192),
)
