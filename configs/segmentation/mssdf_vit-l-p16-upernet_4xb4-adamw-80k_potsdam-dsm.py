_base_ = ['./mssdf_vit-b-p16-upernet_4xb4-adamw-80k_potsdam-dsm.py']

model = _base_.large
