# ViT-H: 1280 wide, 32 layers, 16 heads; with the overlay `fsdp` where one GPU is too small.
_base_ = ['./mssdf_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(backbone=dict(arch='huge'))
