"""Compilation of a model by torch.compile, layer by layer."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mssdf.registry import HOOKS

from ..fsdp_model import LAYERS, layers_of


def compile_layers(
    model: nn.Module, layers: Iterable[str] = LAYERS, **options: Any
) -> list[nn.Module]:
    """Compile the layers of some classes in place and return them.

    Args:
        model: model that has the layers.
        layers: class names, or names of base classes, of the layers.
        **options: options of :func:`torch.compile`, such as ``backend``, ``mode`` and ``dynamic``.

    Raises:
        ValueError: if no layer has such a name.
    """
    found = layers_of(model, layers, 'CompileLayersHook.layers')
    for layer in found:
        for module in layer.modules():
            # mmpretrain makes drop rates NumPy numbers, which the compiler takes for arrays.
            rate: Any = getattr(module, 'drop_prob', None)
            if isinstance(rate, np.floating):
                module.__dict__['drop_prob'] = float(rate)
        layer.compile(**options)
    return found


@HOOKS.register_module()
class CompileLayersHook(Hook):
    """A hook that compiles each transformer layer of a model in place.

    The layers of student, teacher and decoders are compiled. All layers of one width share the
    compiled code, so 32 layers take as long to compile as two. The code between them (losses,
    random draws, exchange between ranks) is not compiled: it takes little time and is full of
    statements at which ``torch.compile`` stops. Names in checkpoints stay the same. It works alone
    and with DDP, sharding and activation checkpointing.

    Args:
        layers: class names, or names of base classes, of the layers.
        **options: options of :func:`torch.compile`, such as ``backend``, ``mode`` and ``dynamic``.
    """

    def __init__(self, layers: Iterable[str] = LAYERS, **options: Any) -> None:
        self.layers = tuple(layers)
        self.options = options

    def before_train(self, runner: Runner) -> None:
        """Prepare the layers, which are compiled in the first iterations.

        Raises:
            ValueError: if no layer has such a name.
        """
        found = compile_layers(runner.model, self.layers, **self.options)
        runner.logger.info(f'{len(found)} layers are compiled when they first run.')
