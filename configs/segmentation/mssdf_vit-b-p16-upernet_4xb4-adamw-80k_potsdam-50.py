_base_ = ['./mssdf_vit-b-p16-upernet_4xb4-adamw-80k_potsdam.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_50.txt'))
