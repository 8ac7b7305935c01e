# DOTA-v1.0 (arXiv 1711.10398) in the tiles of mmrotate's splitter (1024 px, 200 px overlap, whole
# boxes): trained on its training images, scored on its validation images, put together from tiles.
_base_ = ['mmrotate::_base_/datasets/dota.py', './rotated_tta.py']

num_classes = 15
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(ann_file='train/annfiles/', data_prefix=dict(img_path='train/images/')),
)
tested = dict(ann_file='val/annfiles/', data_prefix=dict(img_path='val/images/'))
val_dataloader = dict(dataset=tested)
test_dataloader = dict(dataset=tested)
val_evaluator = dict(_delete_=True, type='mssdf.RotatedDetectionMetric', merge_tiles=True)
test_evaluator = val_evaluator

tta_pipeline = [
    _base_.val_pipeline[0],
    dict(type='TestTimeAug', transforms=[[_base_.val_pipeline[1]], *_base_.flip_and_pack]),
]
