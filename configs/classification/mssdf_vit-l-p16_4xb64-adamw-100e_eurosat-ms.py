_base_ = [
    '../_base_/models/classifier_multi-modal-vit-l-p16.py',
    '../_base_/datasets/eurosat-ms.py',
    '../_base_/schedules/classification_adamw-100e.py',
]
