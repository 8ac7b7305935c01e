_base_ = ['./mssdf_vit-l-p16-linear_4xb64-sgd-90e_eurosat.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_20.txt'))
