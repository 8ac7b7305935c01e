# AID (arXiv 1608.05167): 10,000 images of 600 px, 30 classes.
_base_ = ['./scenes_224.py']

from mssdf.datasets.tasks.classes import AID

num_classes = len(AID)
dataset = dict(data_root='data/aid', metainfo=dict(classes=AID))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
