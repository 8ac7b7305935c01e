# Our recipe on three modalities; any of them may be missing from a scene.
_base_ = [
    '../_base_/models/mssdf_vit-b-p16.py',
    '../_base_/datasets/hr-pairs_rgb-ms-dsm_320.py',
    '../_base_/schedules/adamw_coslr_500e.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modalities}}),
    backbone=dict(img_size={{_base_.window_size}}),
)
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')  # 'float16' scales the loss
