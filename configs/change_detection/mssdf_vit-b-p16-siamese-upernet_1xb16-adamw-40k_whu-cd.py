_base_ = [
    '../_base_/models/siamese-upernet_vit-b-p16.py',
    '../_base_/datasets/whu-cd.py',
    '../_base_/schedules/change_adamw-40k.py',
]
