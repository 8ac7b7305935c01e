_base_ = [
    '../_base_/models/faster-rcnn_vit-b-p16.py',
    '../_base_/datasets/nwpu-vhr10.py',
    '../_base_/schedules/detection_adamw-12e.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
