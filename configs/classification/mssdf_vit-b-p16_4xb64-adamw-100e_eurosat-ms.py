# All bands of Sentinel-2: red, green and blue through the pre-trained patch embedding, the others
# through one of their own, made from it; both through the same encoder, fused per patch.
_base_ = [
    '../_base_/models/classifier_vit-b-p16.py',
    '../_base_/datasets/eurosat-ms.py',
    '../_base_/schedules/classification_adamw-100e.py',
]

data_preprocessor = dict(mean=None, std=None, to_rgb=False, num_classes=_base_.num_classes)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mssdf.MultiModalVisionTransformer',
        modalities=dict(rgb=3, ms=10),
        img_size=64,
        init_cfg=dict(type='mssdf.MultiModalPretrained'),
    ),
    head=dict(num_classes=_base_.num_classes),
)
tiny = dict(backbone=dict(drop_path_rate=0.1))
large = dict(backbone=dict(drop_path_rate=0.1))
