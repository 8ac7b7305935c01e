_base_ = [
    '../_base_/models/oriented-rcnn_vit-b-p16.py',
    '../_base_/datasets/dota.py',
    '../_base_/schedules/detection_adamw-12e.py',
]

model = dict(
    backbone=dict(img_size=1024), roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes))
)
