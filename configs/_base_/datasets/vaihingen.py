# As Potsdam, in near infrared, red and green.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/vaihingen.py']

val_evaluator = [
    dict(type='mssdf.SegmentationMetric', prefix='full-6-classes'),
    dict(type='mssdf.SegmentationMetric', ignored_classes=('clutter',), prefix='full-5-classes'),
]
test_evaluator = val_evaluator
