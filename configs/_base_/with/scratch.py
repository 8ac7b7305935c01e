# Nothing pre-trained: the encoder begins with random weights and learns with the rest.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'scratch', 'model.backbone.init_cfg', 'an encoder that starts from a checkpoint')
# one that does not learn either is the overlay `random`
expect(_base_, 'scratch', 'model.backbone.frozen', 'an encoder that learns', (None, False))
model = dict(backbone=dict(init_cfg=None))
