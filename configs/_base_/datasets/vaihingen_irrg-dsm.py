_base_ = ['./potsdam_rgb-dsm.py']

dataset = dict(type='ISPRSDataset', data_root='data/vaihingen')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
