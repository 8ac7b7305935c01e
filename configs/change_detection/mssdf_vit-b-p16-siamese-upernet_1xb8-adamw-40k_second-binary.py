_base_ = [
    '../_base_/models/siamese-upernet_vit-b-p16.py',
    '../_base_/datasets/second_binary.py',
    '../_base_/schedules/change_adamw-40k.py',
]

auto_scale_lr = dict(base_batch_size=8)
