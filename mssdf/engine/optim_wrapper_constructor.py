"""Parameter groups without the teacher's parameters."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mssdf.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .parameter_groups import MergedGroups


class _SkipFrozen(DefaultOptimWrapperConstructor):
    """A constructor that leaves out whole modules without gradient."""

    def add_params(self, params: list[dict], module: nn.Module, *args: Any, **kwargs: Any) -> None:
        """Add the parameters of a module and its children, if any of them is trained."""
        if any(parameter.requires_grad for parameter in module.parameters()):
            super().add_params(params, module, *args, **kwargs)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(MergedGroups, _SkipFrozen):
    """A constructor without frozen modules, with one group per distinct setting.

    MMEngine's own makes a group of each parameter and warns of every frozen one, which gives
    hundreds of warnings for a teacher.
    """
