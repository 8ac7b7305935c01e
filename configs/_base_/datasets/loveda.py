# mmseg's LoveDA (its tools/dataset_converters/loveda.py makes the folders), scored on the
# validation set, whose labels are public: seven classes, at the images' own 1024 px.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/loveda.py']

val_evaluator = dict(_delete_=True, type='mssdf.SegmentationMetric')
test_evaluator = val_evaluator
