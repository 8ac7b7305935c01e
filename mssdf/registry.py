"""Registries of MSSDF: children of MMEngine's, under the scope ``mssdf``.

A config of mmpretrain, mmseg, mmdet or mmrotate takes anything from here by its full name,
``type='mssdf.SimpleFPN'``: the scope's name imports the package and the ``locations`` its modules.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mssdf', locations=['mssdf.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mssdf', locations=['mssdf.datasets']
)
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='mssdf', locations=['mssdf.datasets']
)
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, scope='mssdf', locations=['mssdf.datasets']
)
FUNCTIONS = Registry(
    'function', parent=MMENGINE_FUNCTIONS, scope='mssdf', locations=['mssdf.datasets']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mssdf', locations=['mssdf.engine'])
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, scope='mssdf', locations=['mssdf.engine'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper', parent=MMENGINE_OPTIM_WRAPPERS, scope='mssdf', locations=['mssdf.engine']
)
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mssdf', locations=['mssdf.evaluation']
)
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, scope='mssdf', locations=['mssdf.visualization']
)
