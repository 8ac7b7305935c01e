_base_ = ['./mssdf_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(backbone=dict(arch='deit-small'))
