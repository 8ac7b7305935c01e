# ViT-H: 1280 wide, 32 layers, 16 heads.
_base_ = ['./mssdf_vit-l-p16_8xb64-amp-coslr-500e_hr-pairs-320_fsdp.py']

model = dict(backbone=dict(arch='huge'))
