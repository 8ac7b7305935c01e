_base_ = [
    '../_base_/models/semantic-change_vit-b-p16.py',
    '../_base_/datasets/second.py',
    '../_base_/schedules/change_adamw-40k.py',
]

model = dict(land_cover_head=dict(num_classes=_base_.num_classes))
auto_scale_lr = dict(base_batch_size=8)
