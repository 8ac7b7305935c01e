_base_ = [
    '../_base_/models/linear-probe_vit-b-p16.py',
    '../_base_/datasets/ucm.py',
    '../_base_/schedules/linear-probe_sgd-90e.py',
]

model = dict(
    data_preprocessor=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)
