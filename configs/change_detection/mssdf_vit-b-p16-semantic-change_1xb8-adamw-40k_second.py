# A change head over the difference of the dates, a land-cover head over each.
_base_ = [
    '../_base_/models/siamese-upernet_vit-b-p16.py',
    '../_base_/datasets/second.py',
    '../_base_/schedules/change_adamw-40k.py',
]

model = dict(
    type='mssdf.SemanticChangeDetector',
    land_cover_head=dict(
        type='UPerHead',
        in_channels=[768, 768, 768, 768],
        num_classes=_base_.num_classes,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
tta_model = dict(type='mssdf.SemanticChangeTTA')
tiny = dict(land_cover_head=dict(in_channels=[192] * 4, channels=128))
large = dict(land_cover_head=dict(in_channels=[1024] * 4))
auto_scale_lr = dict(base_batch_size=8)
