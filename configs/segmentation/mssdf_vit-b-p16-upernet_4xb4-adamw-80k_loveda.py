_base_ = [
    '../_base_/models/upernet_vit-b-p16.py',
    '../_base_/datasets/loveda.py',
    '../_base_/schedules/segmentation_adamw-80k.py',
]

# the images are of 1024 px
model = dict(
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
