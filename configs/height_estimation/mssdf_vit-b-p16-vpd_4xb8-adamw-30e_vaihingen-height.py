_base_ = ['./mssdf_vit-b-p16-vpd_4xb8-adamw-30e_potsdam-height.py']

dataset = dict(data_root='data/vaihingen')
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dataset)
