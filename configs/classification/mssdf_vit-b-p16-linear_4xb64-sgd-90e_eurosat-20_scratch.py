_base_ = ['./mssdf_vit-b-p16-linear_4xb64-sgd-90e_eurosat-20.py']

model = dict(backbone=dict(init_cfg=None))
