_base_ = ['./mssdf_vit-b-p16-upernet_4xb4-adamw-80k_vaihingen-dsm.py']

model = _base_.large
