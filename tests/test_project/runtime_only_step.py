"""Import all of MSSDF and take one pre-training step without any optional package.

Run by ``test_runtime_only.py``, in an environment that has the runtime requirements alone, or with
``--hide`` in one that has more. Usage: ``python runtime_only_step.py CONFIG [--hide]``.
"""

import importlib.util
import math
import pkgutil
import sys

OPTIONAL = ('mmseg', 'mmdet', 'mmrotate', 'mmcv._ext', 'litdata', 'dask', 'skimage')
NEED_MMSEG = (
    'mssdf.datasets.tasks',
    'mssdf.models.change',
    'mssdf.models.height',
    'mssdf.models.segmentors',
    'mssdf.models.tta',
)
NEED_OPS = ('mssdf.require_ops',)  # says so


class Hiding:
    """One of Python's finders, which does not find the optional packages."""

    def __init__(self, finder: object) -> None:
        self.finder = finder

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        hidden = name in OPTIONAL or name.partition('.')[0] in OPTIONAL
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> object:
        return getattr(self.finder, name)


def main(config_file: str) -> None:
    there = [name for name in OPTIONAL if importlib.util.find_spec(name) is not None]
    if there:
        sys.exit(f'expected an environment without {OPTIONAL}, found {there}')

    import torch
    from mmengine import Config
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    import mssdf
    from mssdf.registry import DATASETS, FUNCTIONS, MODELS

    for module in pkgutil.walk_packages(mssdf.__path__, 'mssdf.'):
        if not module.name.startswith(NEED_MMSEG + NEED_OPS):
            importlib.import_module(module.name)

    config = Config.fromfile(config_file)
    DefaultScope.get_instance('step', scope_name=config.get('default_scope', 'mssdf'))
    loader = config.train_dataloader
    dataset = DATASETS.build(loader.dataset)
    collate = FUNCTIONS.get(loader.collate_fn.type)
    model = MODELS.build(config.model)
    model.init_weights()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    log = model.train_step(collate([dataset[index] for index in range(2)]), wrapper)
    loss = float(log['loss'].detach())
    changed = [
        name
        for name, value in model.backbone.state_dict().items()
        if not torch.equal(value, before[name])
    ]
    if not changed:
        sys.exit('the step changed no weight of the backbone')
    if not math.isfinite(loss):
        sys.exit(f'expected a finite loss, found {log}')
    print(f'step done: {len(changed)} tensors changed, loss {loss:.4f}')


if __name__ == '__main__':
    if '--hide' in sys.argv:
        sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
    main(sys.argv[1])
