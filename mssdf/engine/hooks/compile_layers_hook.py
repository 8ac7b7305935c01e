"""torch.compile, layer by layer."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mssdf.registry import HOOKS

from ..sharding import LAYERS, layers_of


def compile_layers(
    model: nn.Module, layers: Iterable[str] = LAYERS, **options: Any
) -> list[nn.Module]:
    """Compile the layers of some classes in place, and return them; see the hook.

    Raises:
        ValueError: if no layer has such a name.
    """
    found = layers_of(model, layers, 'CompileLayersHook.layers')
    for layer in found:
        for module in layer.modules():
            # mmpretrain draws drop rates from NumPy, whose numbers the compiler takes for arrays
            rate: Any = getattr(module, 'drop_prob', None)
            if isinstance(rate, np.floating):
                module.__dict__['drop_prob'] = float(rate)
        layer.compile(**options)
    return found


@HOOKS.register_module()
class CompileLayersHook(Hook):
    """Compile each transformer layer of any model, student's, teacher's and decoders', in place.

    All layers of one width share what is compiled, so that it takes as long for 32 layers as for
    two. What lies between them (losses, draws, exchange between ranks) stays as it is: it is a
    small part of the time and full of what ``torch.compile`` stops at. Names in checkpoints
    stay the same. Works alone, with DDP, with sharding and with activation checkpointing.

    Args:
        layers: class names, or those of base classes, of the layers.
        **options: of :func:`torch.compile`: ``backend``, ``mode``, ``dynamic``, ...
    """

    def __init__(self, layers: Iterable[str] = LAYERS, **options: Any) -> None:
        self.layers = tuple(layers)
        self.options = options

    def before_train(self, runner: Runner) -> None:
        """Compile, lazily: the first iterations take longer.

        Raises:
            ValueError: if no layer has such a name.
        """
        found = compile_layers(runner.model, self.layers, **self.options)
        runner.logger.info(f'{len(found)} layers are compiled when they first run.')
