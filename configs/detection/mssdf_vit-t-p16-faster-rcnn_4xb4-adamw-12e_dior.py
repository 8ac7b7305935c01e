_base_ = ['./mssdf_vit-b-p16-faster-rcnn_4xb4-adamw-12e_dior.py']

model = _base_.tiny
