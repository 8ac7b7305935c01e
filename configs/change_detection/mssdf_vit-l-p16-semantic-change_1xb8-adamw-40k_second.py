_base_ = ['./mssdf_vit-b-p16-semantic-change_1xb8-adamw-40k_second.py']

model = _base_.large
