_base_ = ['./mssdf_vit-b-p16-siamese-upernet_1xb16-adamw-40k_whu-cd.py']

model = _base_.tiny
