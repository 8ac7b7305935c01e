# Your own boxes on images of four bands. The patch embedding of near infrared starts as the mean of
# those of the colors; bands are normalized in the pipeline.
_base_ = [
    '../_base_/models/faster-rcnn_vit-b-p16.py',
    '../_base_/datasets/coco_rgbn_800.py',
    '../_base_/schedules/detection_adamw-12e.py',
]

model = dict(
    data_preprocessor=dict(mean=None, std=None, bgr_to_rgb=False),
    backbone=dict(
        type='mssdf.MultiModalVisionTransformer',
        modalities=dict(rgb=4),
        init_cfg=dict(type='mssdf.MultiModalPretrained', rgb_bands=[0, 1, 2]),
    ),
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)),
)
