# Fine-tuning as MAE's: mean of the patches, a linear head, Mixup and CutMix.
_base_ = ['mmpretrain::_base_/models/vit-base-p16.py', '../downstream.py']

default_scope = 'mmpretrain'
data_preprocessor = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True, num_classes=1000
)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mssdf.DenseVisionTransformer',
        arch='base',
        img_size=224,
        drop_rate=0.0,
        drop_path_rate=0.1,
        out_type='avg_featmap',
        final_norm=False,
        init_cfg=dict(
            _delete_=True,
            type='mssdf.StrictPretrained',
            checkpoint={{_base_.checkpoint}},
            # the mean has a norm of its own, in place of the pre-trained one after the last layer
            allow_missing=['ln2.'],
            allow_unexpected=['ln1.'],
        ),
    ),
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=1000,
        in_channels=768,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=[dict(type='TruncNormal', layer='Linear', std=2e-5)],
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
# the other sizes: `model = _base_.tiny` in a child, the overlay `large`
tiny = dict(backbone=dict(arch='deit-tiny', drop_path_rate=0.0), head=dict(in_channels=192))
large = dict(backbone=dict(arch='large', drop_path_rate=0.2), head=dict(in_channels=1024))
