# DIOR-R (arXiv 2110.01931): DIOR's images with rotated boxes, in mmrotate's order of the classes.
_base_ = ['mmrotate::_base_/datasets/dior.py', './rotated_tta.py']

num_classes = 20
train_dataloader = dict(batch_size=4, num_workers=4)
val_evaluator = dict(_delete_=True, type='mssdf.RotatedDetectionMetric')
test_evaluator = val_evaluator

tta_pipeline = [
    _base_.val_pipeline[0],
    dict(type='TestTimeAug', transforms=[[_base_.val_pipeline[1]], *_base_.flip_and_pack]),
]
