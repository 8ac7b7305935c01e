_base_ = ['./mssdf_vit-l-p16-vpd_4xb8-adamw-30e_us3d.py']

model = dict(backbone=dict(frozen_stages=24))
