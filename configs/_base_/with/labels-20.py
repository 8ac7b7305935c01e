# 20 % of the training labels, as tools/dataset_tools/ draws them.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'labels-20', 'label_lists', 'a data set with lists of labels')
train_dataloader = dict(dataset=dict(ann_file=_base_.label_lists.format(20)))
