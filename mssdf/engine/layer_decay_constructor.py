"""Layer-wise decay of the learning rate for models with a backbone of ours or mmpretrain's ViT."""

from functools import partial
from typing import Any

from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn

from mssdf.errors import ConfigError, Words
from mssdf.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .parameter_groups import MergedGroups


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(MergedGroups, LearningRateDecayOptimWrapperConstructor):
    """A constructor with layer-wise decay for mmseg, mmdet and mmrotate as well.

    mmpretrain's constructor asks the model for the depth of a parameter, which models of the other
    libraries do not tell; this one asks their backbone. ``paramwise_cfg`` takes
    ``layer_decay_rate`` and mmpretrain's other keys. There is one parameter group per distinct rate
    and weight decay.

    Raises:
        ValueError: if neither the model nor its backbone has ``get_layer_depth``.
    """

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        get_layer_depth: Any = None,
        **kwargs: Any,
    ) -> None:
        """Add the parameters of a module and its children, each with its learning rate."""
        if get_layer_depth is None:
            backbone: Any = getattr(module, 'backbone', None)
            if not hasattr(backbone, 'get_layer_depth'):
                raise ConfigError(
                    f'{type(self).__name__}',
                    'a backbone with get_layer_depth',
                    Words(f'{type(backbone).__name__} in {type(module).__name__}'),
                )
            get_layer_depth = partial(backbone.get_layer_depth, prefix='backbone.')
        super().add_params(params, module, prefix=prefix, get_layer_depth=get_layer_depth, **kwargs)
