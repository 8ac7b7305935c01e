# Our recipe on orthophotos alone: no terms between modalities.
_base_ = [
    '../_base_/models/mssdf_vit-b-p16.py',
    '../_base_/datasets/hr-pairs_rgb_320.py',
    '../_base_/schedules/adamw_coslr_500e.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modalities}}, cross_modal=None),
    backbone=dict(img_size={{_base_.window_size}}),
    losses=dict(align=0.0, hsic=0.0, cls=0.0),
)
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')  # 'float16' scales the loss
