_base_ = ['./mssdf_vit-l-p16-siamese-upernet_1xb8-adamw-40k_second-binary.py']

model = dict(backbone=dict(init_cfg=None))
