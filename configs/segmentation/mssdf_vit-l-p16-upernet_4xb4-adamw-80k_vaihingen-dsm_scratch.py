_base_ = ['./mssdf_vit-l-p16-upernet_4xb4-adamw-80k_vaihingen-dsm.py']

model = dict(backbone=dict(init_cfg=None))
