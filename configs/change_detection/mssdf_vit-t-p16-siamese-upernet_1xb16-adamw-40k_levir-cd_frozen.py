_base_ = ['./mssdf_vit-t-p16-siamese-upernet_1xb16-adamw-40k_levir-cd.py']

model = dict(backbone=dict(frozen_stages=12))
