"""Hooks of the method, run without MMEngine's runner."""

from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from torch import nn

from mssdf.registry import HOOKS

# Hooks that belong to the method; all others log, save or watch.
METHOD_HOOKS = ('ScheduleHook', 'TeacherHook')


class Scalars:
    """A stand-in for MMEngine's message hub that keeps the values that hooks log."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def update_scalar(self, name: str, value: float, *args: Any, **kwargs: Any) -> None:
        """Keep the latest value."""
        self.values[name.removeprefix('train/')] = float(value)


class EveryStep:
    """A stand-in for an optimizer wrapper without accumulation of gradients."""

    def should_update(self) -> bool:
        """Return true, as each iteration ends with a step."""
        return True


@dataclass
class RunnerView:
    """A view of a runner with the attributes that the method's hooks read.

    Attributes:
        model: model in training.
        max_epochs: length in epochs of the config's own schedule, onto which schedules are mapped.
        iter: number of completed iterations.
        epoch: epoch of the config's schedule at the used share of the budget.
        max_iters: number of iterations of the whole training, estimated from the used share.
    """

    model: nn.Module
    max_epochs: int
    iter: int = 0
    epoch: int = 0
    max_iters: int = 1
    message_hub: Scalars = field(default_factory=Scalars)
    optim_wrapper: EveryStep = field(default_factory=EveryStep)

    def move(self, iteration: int, share: float) -> None:
        """Set the position in training.

        Args:
            iteration: number of completed iterations.
            share: used share of the budget, 0 to 1.
        """
        self.iter = iteration
        self.epoch = min(int(share * self.max_epochs), self.max_epochs - 1)
        self.max_iters = max(iteration + 1, round(iteration / share) if share > 0 else 1)


def build_method_hooks(config: Config) -> list[Hook]:
    """Build the config's hooks that belong to the method, in the order of their priorities."""
    wanted = [*(config.get('default_hooks') or {}).values(), *(config.get('custom_hooks') or [])]
    hooks = [
        HOOKS.build(hook)
        for hook in wanted
        if hook and str(hook.get('type')).split('.')[-1] in METHOD_HOOKS
    ]
    return sorted(hooks, key=lambda hook: METHOD_HOOKS.index(type(hook).__name__))


def schedule_length(config: Config) -> int:
    """Return the epochs of the config's own schedule; 1 where it counts iterations."""
    return int(config.get('train_cfg', {}).get('max_epochs') or 1)
