_base_ = ['./upernet_vit-b-p16.py']

widths = [192] * 4
model = dict(
    backbone=dict(arch='deit-tiny', out_indices=(2, 5, 8, 11), drop_path_rate=0.0),
    neck=dict(in_channels=widths, out_channels=192),
    decode_head=dict(in_channels=widths, channels=128),
    auxiliary_head=dict(in_channels=192, channels=64),
)
