# NWPU-RESISC45 (arXiv 1703.00121): 31,500 images of 256 px, 45 classes.
_base_ = ['./scenes_224.py']

from mssdf.datasets.tasks.classes import NWPU_RESISC45

num_classes = len(NWPU_RESISC45)
dataset = dict(data_root='data/nwpu-resisc45', metainfo=dict(classes=NWPU_RESISC45))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
