_base_ = ['./mssdf_vit-b-p16-faster-rcnn_4xb4-adamw-12e_dior.py']

model = _base_.large
optim_wrapper = _base_.large_optim_wrapper
