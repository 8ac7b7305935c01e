_base_ = ['./mssdf_vit-t-p16_4xb64-adamw-100e_aid.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_20.txt'))
