_base_ = [
    '../_base_/models/linear-probe_vit-l-p16.py',
    '../_base_/datasets/aid.py',
    '../_base_/schedules/linear-probe_sgd-90e.py',
]

model = dict(data_preprocessor=dict(num_classes=30), head=dict(num_classes=30))
