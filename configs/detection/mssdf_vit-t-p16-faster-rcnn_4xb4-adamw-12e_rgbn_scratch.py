_base_ = ['./mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_rgbn.py']

model = dict(backbone=dict(init_cfg=None))
