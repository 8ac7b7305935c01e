# DIOR (arXiv 1909.00133): 23,463 images of 800 px, 20 classes. As usual, trained on the training
# and validation images together and scored on the test images.
_base_ = ['./coco_800.py']

from mssdf.datasets.tasks.classes import DIOR

num_classes = len(DIOR)
dataset = dict(
    type='CocoDataset',
    data_root='data/dior',
    metainfo=dict(classes=DIOR),
    ann_file='annotations/train.json',
    data_prefix=dict(img='JPEGImages-trainval/'),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=_base_.train_pipeline,
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[dataset, dict(dataset, ann_file='annotations/val.json')],
    )
)
tested = dict(
    data_root='data/dior',
    metainfo=dict(classes=DIOR),
    ann_file='annotations/test.json',
    data_prefix=dict(img='JPEGImages-test/'),
)
val_dataloader = dict(dataset=tested)
test_dataloader = dict(dataset=tested)
