_base_ = ['./mssdf_vit-b-p16_4xb64-adamw-100e_nwpu-resisc45.py']

model = _base_.tiny
