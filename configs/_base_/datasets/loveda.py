# mmseg's LoveDA (its tools/dataset_converters/loveda.py makes the folders), scored on the
# validation set, whose labels are public: seven classes, at the images' own 1024 px.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/loveda.py']

num_classes = 7
label_lists = 'splits/train_{}.txt'  # of a share of the labels, in percent
val_evaluator = dict(_delete_=True, type='mssdf.SegmentationMetric')
test_evaluator = val_evaluator
