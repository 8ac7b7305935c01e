# Tested against labels without the borders of objects, three pixels wide.
_base_ = ['./vaihingen.py']

test_dataloader = dict(dataset=dict(data_prefix=dict(seg_map_path='ann_dir/val_eroded')))
test_evaluator = [
    dict(type='mssdf.SegmentationMetric', prefix='eroded-6-classes'),
    dict(type='mssdf.SegmentationMetric', ignored_classes=('clutter',), prefix='eroded-5-classes'),
]
