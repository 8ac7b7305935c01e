_base_ = ['./mssdf_vit-t-p16-oriented-rcnn_4xb4-adamw-12e_dota.py']

model = dict(backbone=dict(init_cfg=None))
