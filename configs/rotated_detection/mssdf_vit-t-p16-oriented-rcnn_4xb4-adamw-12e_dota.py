_base_ = ['./mssdf_vit-b-p16-oriented-rcnn_4xb4-adamw-12e_dota.py']

model = _base_.tiny
