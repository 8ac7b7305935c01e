_base_ = ['./mssdf_vit-b-p16_4xb64-adamw-100e_nwpu-resisc45.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_20.txt'))
