# mmseg's Potsdam (tools/dataset_tools/prepare_isprs.py makes the folders): 512 px tiles, the full
# labels, scored with all six classes and, as most papers do, without clutter. Papers differ:
# potsdam_eroded.py scores without the pixels along the borders of objects.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/potsdam.py']

val_evaluator = [
    dict(type='mssdf.SegmentationMetric', prefix='full-6-classes'),
    dict(type='mssdf.SegmentationMetric', ignored_classes=('clutter',), prefix='full-5-classes'),
]
test_evaluator = val_evaluator
