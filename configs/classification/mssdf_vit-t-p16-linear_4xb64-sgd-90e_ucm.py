_base_ = ['./mssdf_vit-b-p16-linear_4xb64-sgd-90e_ucm.py']

model = _base_.tiny
