# WHU-CD cut into tiles of 256 px in LEVIR-CD's layout (tools/dataset_tools/tile_change.py).
_base_ = [
    '../_base_/models/siamese-upernet_vit-b-p16.py',
    '../_base_/datasets/levir-cd.py',
    '../_base_/schedules/change_adamw-40k.py',
]

dataset = dict(data_root='data/whu-cd')
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dataset)
