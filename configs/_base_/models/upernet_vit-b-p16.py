# UPerNet on the plain ViT: four layers, rescaled by mmseg's MultiLevelNeck (the paper's model).
_base_ = [
    '../library_names.py',
    'mmseg::_base_/models/upernet_vit-b16_ln_mln.py',
    '../downstream.py',
]

default_scope = 'mmseg'
# all counts in iterations, as mmseg does
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=8000),
)
log_processor = dict(by_epoch=False)
visualizer = dict(type='SegLocalVisualizer')  # which mmseg's inferencer asks for
# BatchNorm; turned into SyncBatchNorm in distributed training, so that one process and a CPU work
norm_cfg = dict(type='BN', requires_grad=True)
sync_bn = 'torch'
data_preprocessor = dict(size_divisor=16, test_cfg=dict(size_divisor=16))  # whole patches
model = dict(
    pretrained=None,
    data_preprocessor=data_preprocessor,
    backbone=dict(
        _delete_=True,
        type='mssdf.DenseVisionTransformer',
        arch='base',
        img_size=512,
        patch_size=16,
        out_indices=(2, 5, 8, 11),
        drop_path_rate=0.1,
        init_cfg=dict(type='mssdf.StrictPretrained', checkpoint={{_base_.checkpoint}}),
    ),
    decode_head=dict(norm_cfg=norm_cfg),
    auxiliary_head=dict(norm_cfg=norm_cfg),
)
tta_model = dict(type='SegTTAModel')
# the other sizes: `model = _base_.tiny` in a child, the overlay `large`
tiny = dict(
    backbone=dict(arch='deit-tiny', drop_path_rate=0.0),
    neck=dict(in_channels=[192] * 4, out_channels=192),
    decode_head=dict(in_channels=[192] * 4, channels=128),
    auxiliary_head=dict(in_channels=192, channels=64),
)
large = dict(
    backbone=dict(arch='large', out_indices=(5, 11, 17, 23), drop_path_rate=0.2),
    neck=dict(in_channels=[1024] * 4, out_channels=1024),
    decode_head=dict(in_channels=[1024] * 4),
    auxiliary_head=dict(in_channels=1024),
)
