_base_ = ['./mssdf_vit-b-p16-siamese-upernet_1xb8-adamw-40k_second-binary.py']

model = _base_.tiny
