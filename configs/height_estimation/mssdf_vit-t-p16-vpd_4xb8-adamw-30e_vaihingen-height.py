_base_ = ['./mssdf_vit-b-p16-vpd_4xb8-adamw-30e_vaihingen-height.py']

model = _base_.tiny
