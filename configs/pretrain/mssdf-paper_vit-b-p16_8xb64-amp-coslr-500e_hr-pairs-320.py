# The recipe of the paper: ViT-B, RGB and DSM through one patch embedding, batch 8 x 64.
_base_ = [
    '../_base_/models/mssdf-paper_vit-b-p16.py',
    '../_base_/datasets/hr-pairs_rgb-dsm_320.py',
    '../_base_/schedules/adamw_coslr_500e.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modalities}}),
    backbone=dict(img_size={{_base_.window_size}}),
)
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')  # 'float16' scales the loss
