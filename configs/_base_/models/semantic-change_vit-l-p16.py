_base_ = ['./semantic-change_vit-b-p16.py']

widths = [1024] * 4
model = dict(
    backbone=dict(arch='large', out_indices=(5, 11, 17, 23), drop_path_rate=0.2),
    neck=dict(in_channels=widths, out_channels=1024),
    decode_head=dict(in_channels=widths),
    land_cover_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=1024),
)
