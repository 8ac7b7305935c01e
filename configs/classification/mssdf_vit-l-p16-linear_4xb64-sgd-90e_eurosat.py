_base_ = ['./mssdf_vit-b-p16-linear_4xb64-sgd-90e_eurosat.py']

model = _base_.large
