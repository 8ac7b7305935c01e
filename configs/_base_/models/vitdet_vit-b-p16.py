# The plain ViT and its pyramid, for any detector: ViTDet (arXiv 2203.16527). Attention in windows
# of 14 patches, and over the whole image in the last layer of each quarter.
_base_ = ['../downstream.py']

vit = dict(
    type='mssdf.DenseVisionTransformer',
    arch='base',
    img_size=800,
    patch_size=16,
    window_size=14,
    drop_path_rate=0.1,
    checkpoint_activations=False,  # True: less memory, a third more time
    init_cfg=dict(type='mssdf.StrictPretrained', checkpoint={{_base_.checkpoint}}),
)
pyramid = dict(type='mssdf.SimpleFPN', in_channels=768, out_channels=256, num_outs=5)
custom_imports = dict(imports=['mssdf', 'mssdf.require_ops'])
# the other sizes: `model = _base_.tiny` in a child, the overlay `large`
tiny = dict(
    backbone=dict(arch='deit-tiny', drop_path_rate=0.0),
    neck=dict(in_channels=192),
)
large = dict(
    backbone=dict(arch='large', drop_path_rate=0.4),
    neck=dict(in_channels=1024),
)
large_optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))  # ViTDet's
