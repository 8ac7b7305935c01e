_base_ = ['./mssdf_vit-l-p16-semantic-change_1xb8-adamw-40k_second.py']

model = dict(backbone=dict(frozen_stages=24))
