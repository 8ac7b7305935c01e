_base_ = ['./potsdam_height.py']

dataset = dict(data_root='data/vaihingen')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
