# EuroSAT, RGB (arXiv 1709.00029): 27,000 images of 64 px at 10 m, 10 classes.
_base_ = ['./scenes_224.py']

from mssdf.datasets.tasks.classes import EUROSAT

num_classes = len(EUROSAT)
dataset = dict(data_root='data/eurosat', metainfo=dict(classes=EUROSAT))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
