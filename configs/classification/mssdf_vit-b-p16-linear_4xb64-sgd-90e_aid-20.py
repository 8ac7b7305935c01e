_base_ = ['./mssdf_vit-b-p16-linear_4xb64-sgd-90e_aid.py']

train_dataloader = dict(dataset=dict(ann_file='splits/train_20.txt'))
