_base_ = ['./mssdf_vit-b-p16-upernet_4xb4-adamw-80k_loveda.py']

model = _base_.large
