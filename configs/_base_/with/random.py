# The encoder has random weights and keeps them: what its architecture alone is worth, to a linear
# probe for example.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'random', 'model.backbone.init_cfg', 'an encoder that starts from a checkpoint')
model = dict(backbone=dict(init_cfg=None, frozen=True))
