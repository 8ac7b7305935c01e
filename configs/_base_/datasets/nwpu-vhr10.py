# NWPU VHR-10 (10.1016/j.isprsjprs.2014.10.002): 650 images with objects, 10 classes. It has no
# split of its own: scores of different splits do not compare.
_base_ = ['./coco_800.py']

from mssdf.datasets.tasks.classes import NWPU_VHR10

num_classes = len(NWPU_VHR10)
dataset = dict(
    data_root='data/nwpu-vhr10',
    metainfo=dict(classes=NWPU_VHR10),
    data_prefix=dict(img='positive image set/'),
)
train_dataloader = dict(dataset=dict(dataset, ann_file='annotations/train.json'))
val_dataloader = dict(dataset=dict(dataset, ann_file='annotations/val.json'))
test_dataloader = dict(dataset=dict(dataset, ann_file='annotations/test.json'))
