_base_ = ['./mssdf_vit-l-p16-oriented-rcnn_4xb4-adamw-12e_dota-trainval.py']

model = dict(backbone=dict(init_cfg=None))
