_base_ = ['./mssdf_vit-l-p16-siamese-upernet_1xb16-adamw-40k_whu-cd.py']

model = dict(backbone=dict(init_cfg=None))
