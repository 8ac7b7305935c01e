_base_ = ['./mssdf_vit-l-p16-upernet_4xb4-adamw-80k_loveda.py']

model = dict(backbone=dict(frozen_stages=24))
