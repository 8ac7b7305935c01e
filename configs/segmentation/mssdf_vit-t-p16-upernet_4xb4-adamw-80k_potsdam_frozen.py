_base_ = ['./mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam.py']

model = dict(backbone=dict(frozen_stages=12))
