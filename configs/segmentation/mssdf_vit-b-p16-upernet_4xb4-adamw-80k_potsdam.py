_base_ = [
    '../_base_/models/upernet_vit-b-p16.py',
    '../_base_/datasets/potsdam.py',
    '../_base_/schedules/segmentation_adamw-80k.py',
]

model = dict(
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
