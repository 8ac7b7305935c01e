_base_ = ['./mssdf_vit-t-p16-vpd_4xb8-adamw-30e_us3d.py']

model = dict(backbone=dict(init_cfg=None))
