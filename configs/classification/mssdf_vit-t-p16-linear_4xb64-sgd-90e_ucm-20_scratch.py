_base_ = ['./mssdf_vit-t-p16-linear_4xb64-sgd-90e_ucm-20.py']

model = dict(backbone=dict(init_cfg=None))
