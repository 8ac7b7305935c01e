_base_ = ['./mssdf_vit-t-p16_4xb64-adamw-100e_ucm.py']

model = dict(backbone=dict(init_cfg=None))
