# mmseg's iSAID (its tools/dataset_converters/isaid.py makes the folders): tiles of 896 px, 16
# classes with the background, which counts in the mean as in most papers.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/isaid.py']

val_evaluator = dict(_delete_=True, type='mssdf.SegmentationMetric')
test_evaluator = val_evaluator
