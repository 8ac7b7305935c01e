_base_ = [
    '../_base_/models/classifier_vit-b-p16.py',
    '../_base_/datasets/nwpu-resisc45.py',
    '../_base_/schedules/classification_adamw-100e.py',
]

model = dict(
    data_preprocessor=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)
