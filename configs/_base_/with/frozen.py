# The encoder stays as it was pre-trained; what follows it learns.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'frozen', 'model.backbone.init_cfg', 'an encoder that starts from a checkpoint')
model = dict(backbone=dict(frozen=True))
