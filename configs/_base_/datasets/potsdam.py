# mmseg's Potsdam (tools/dataset_tools/prepare_isprs.py makes the folders): 512 px tiles, the full
# labels, scored with all six classes and, as most papers do, without clutter. Papers differ:
# the overlay `eroded` scores without the pixels along the borders of objects.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/potsdam.py']

num_classes = 6
label_lists = 'splits/train_{}.txt'  # of a share of the labels, in percent
eroded_labels = 'ann_dir/val_eroded'  # without the borders of objects, three pixels wide
val_evaluator = [
    dict(type='mssdf.SegmentationMetric', prefix='full-6-classes'),
    dict(type='mssdf.SegmentationMetric', ignored_classes=('clutter',), prefix='full-5-classes'),
]
test_evaluator = val_evaluator
