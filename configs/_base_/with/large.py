# ViT-L in place of ViT-B, with the widths of neck and heads that go with it.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
# configs of pre-training have their size in their name
expect(_base_, 'large', 'large', 'a downstream task')
expect(_base_, 'large', 'model.backbone.arch', 'a config of ViT-B', ('base',))
model = _base_.large
optim_wrapper = _base_.get('large_optim_wrapper', {})
