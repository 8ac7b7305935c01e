_base_ = ['./mssdf_vit-t-p16-upernet_4xb4-adamw-80k_vaihingen-50.py']

model = dict(backbone=dict(init_cfg=None))
