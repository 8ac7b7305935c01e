# The first base of configs that inherit mmseg's: MMEngine looks for mmseg under the name of its
# original distribution alone, until mssdf has been imported. So inferencers, which import nothing
# of ours, read these configs too.
from importlib import import_module

import_module('mssdf')  # a plain import would make MMEngine take this for another kind of config
