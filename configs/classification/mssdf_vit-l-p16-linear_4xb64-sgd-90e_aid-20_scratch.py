_base_ = ['./mssdf_vit-l-p16-linear_4xb64-sgd-90e_aid-20.py']

model = dict(backbone=dict(init_cfg=None))
