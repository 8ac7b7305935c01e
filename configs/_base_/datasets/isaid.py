# mmseg's iSAID (its tools/dataset_converters/isaid.py makes the folders): tiles of 896 px, 16
# classes with the background, which counts in the mean as in most papers.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/isaid.py']

num_classes = 16
label_lists = 'splits/train_{}.txt'  # of a share of the labels, in percent
val_evaluator = dict(_delete_=True, type='mssdf.SegmentationMetric')
test_evaluator = val_evaluator
