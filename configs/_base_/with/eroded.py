# Tested against labels without the borders of objects, three pixels wide.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'eroded', 'eroded_labels', 'a data set with eroded labels')
test_dataloader = dict(dataset=dict(data_prefix=dict(seg_map_path=_base_.eroded_labels)))
test_evaluator = [
    dict(type='mssdf.SegmentationMetric', prefix='eroded-6-classes'),
    dict(type='mssdf.SegmentationMetric', ignored_classes=('clutter',), prefix='eroded-5-classes'),
]
