# UC Merced (10.1145/1869790.1869829): 2,100 images of 256 px, 21 classes.
_base_ = ['./scenes_224.py']

from mssdf.datasets.tasks.classes import UC_MERCED

num_classes = len(UC_MERCED)
dataset = dict(data_root='data/ucm', metainfo=dict(classes=UC_MERCED))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
