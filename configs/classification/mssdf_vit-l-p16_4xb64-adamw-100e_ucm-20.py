_base_ = ['./mssdf_vit-l-p16_4xb64-adamw-100e_ucm.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_20.txt'))
