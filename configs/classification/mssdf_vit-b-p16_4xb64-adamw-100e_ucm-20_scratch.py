_base_ = ['./mssdf_vit-b-p16_4xb64-adamw-100e_ucm-20.py']

model = dict(backbone=dict(init_cfg=None))
