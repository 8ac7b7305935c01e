_base_ = ['./mssdf_vit-l-p16-upernet_4xb4-adamw-80k_loveda.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_50.txt'))
