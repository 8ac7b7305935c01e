_base_ = [
    '../_base_/models/classifier_multi-modal-vit-b-p16.py',
    '../_base_/datasets/eurosat-ms.py',
    '../_base_/schedules/classification_adamw-100e.py',
]

data_preprocessor = dict(num_classes=_base_.num_classes)
model = dict(
    data_preprocessor=data_preprocessor,
    head=dict(num_classes=_base_.num_classes),
)
