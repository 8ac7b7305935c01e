# Heights from one image: mmseg's DepthEstimator with VPD's head (the paper's model), which sees
# maps of strides 4 to 32 and answers at stride 1. Heights from 0 to max_depth meters.
_base_ = ['../downstream.py']

default_scope = 'mmseg'
visualizer = dict(type='SegLocalVisualizer')  # which mmseg's inferencer asks for
data_preprocessor = dict(
    type='mssdf.HeightDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    size_divisor=16,  # whole patches
    test_cfg=dict(size_divisor=16),
)
model = dict(
    type='DepthEstimator',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mssdf.DenseVisionTransformer',
        arch='base',
        img_size=512,
        patch_size=16,
        out_indices=(2, 5, 8, 11),
        drop_path_rate=0.1,
        init_cfg=dict(type='mssdf.StrictPretrained', checkpoint={{_base_.checkpoint}}),
    ),
    neck=dict(
        type='MultiLevelNeck',
        in_channels=[768, 768, 768, 768],
        out_channels=768,
        scales=[4, 2, 1, 0.5],
    ),
    decode_head=dict(
        type='mssdf.HeightHead',
        max_depth=100.0,
        in_channels=[768, 768, 768, 768],
        embed_dim=192,
        feature_dim=1536,
        num_deconv_layers=2,
        num_deconv_filters=(32, 32),
        loss_decode=dict(type='mssdf.HeightLoss', kind='smooth_l1'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='mssdf.HeightTTA')
# the other sizes: `model = _base_.tiny` in a child, the overlay `large`
tiny = dict(
    backbone=dict(arch='deit-tiny', drop_path_rate=0.0),
    neck=dict(in_channels=[192] * 4, out_channels=192),
    decode_head=dict(in_channels=[192] * 4, embed_dim=96, feature_dim=768),
)
large = dict(
    backbone=dict(arch='large', out_indices=(5, 11, 17, 23), drop_path_rate=0.2),
    neck=dict(in_channels=[1024] * 4, out_channels=1024),
    decode_head=dict(in_channels=[1024] * 4),
)
