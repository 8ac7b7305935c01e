_base_ = [
    '../_base_/models/height_vit-b-p16.py',
    '../_base_/datasets/potsdam_height.py',
    '../_base_/schedules/height_adamw-30e.py',
]

model = dict(decode_head=dict(max_depth=_base_.max_height))
