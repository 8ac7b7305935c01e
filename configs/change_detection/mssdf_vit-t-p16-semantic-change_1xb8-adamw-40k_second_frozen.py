_base_ = ['./mssdf_vit-t-p16-semantic-change_1xb8-adamw-40k_second.py']

model = dict(backbone=dict(frozen_stages=12))
