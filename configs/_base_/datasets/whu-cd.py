# WHU-CD cut into tiles of 256 px in LEVIR-CD's layout (tools/dataset_tools/tile_change.py).
_base_ = ['./levir-cd.py']

dataset = dict(data_root='data/whu-cd')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
