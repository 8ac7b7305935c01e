_base_ = [
    '../_base_/models/siamese-upernet_vit-b-p16.py',
    '../_base_/datasets/levir-cd.py',
    '../_base_/schedules/change_adamw-40k.py',
]

# validated and tested in the tiles of 256 px that the papers use
model = dict(test_cfg=dict(mode='slide', crop_size=(256, 256), stride=(256, 256)))
