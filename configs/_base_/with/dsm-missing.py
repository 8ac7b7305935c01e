# Tested as if no image had heights.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'dsm-missing', 'dsm_bands', 'a data set with heights among its bands')
load_bands, *rest = _base_.test_pipeline
drop_heights = dict(type='mssdf.DropBands', bands=_base_.dsm_bands)
test_dataloader = dict(dataset=dict(pipeline=[load_bands, drop_heights, *rest]))
del load_bands, drop_heights, rest
