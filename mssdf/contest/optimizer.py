"""Optimizer of a config, with a learning rate that follows the used share of a budget."""

import copy
import math

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn


def rate_factor(share: float, warm_up: float) -> float:
    """Compute the factor of the learning rate: a linear warm-up, then half a cosine to zero.

    Args:
        share: used share of the budget, 0 to 1.
        warm_up: share of the budget at which the full rate is reached.
    """
    if share < warm_up:
        return share / warm_up
    return 0.5 * (1 + math.cos(math.pi * (share - warm_up) / max(1 - warm_up, 1e-9)))


class BudgetOptimizer:
    """A config's optimizer, weight decay rules and clipping, stepped by hand.

    Args:
        model: model to train.
        config: pre-training config with ``optim_wrapper``; its schedule is not used.
        lr: learning rate at the end of the warm-up; None takes the config's.
        warm_up: share of the budget in which the rate rises.
    """

    def __init__(self, model: nn.Module, config: Config, lr: float | None, warm_up: float) -> None:
        settings = copy.deepcopy(config.optim_wrapper)
        settings.type = 'OptimWrapper'  # autocast surrounds the forward pass instead
        for key in ('dtype', 'loss_scale', 'use_fsdp', 'cache_enabled'):
            settings.pop(key, None)
        # Gradients are clipped here, as MMEngine's wrapper waits for the device at each step.
        self.clip = dict(settings.pop('clip_grad', None) or {})
        if self.clip.pop('type', 'norm') != 'norm':
            raise ValueError('optim_wrapper.clip_grad.type: expected norm, found value')
        if lr is not None:
            settings.optimizer.lr = lr
        if 'Adam' in settings.optimizer.type:
            settings.optimizer.fused = True
        self.optimizer = build_optim_wrapper(model, settings).optimizer
        self.warm_up = warm_up
        self._rates = [group['lr'] for group in self.optimizer.param_groups]

    @property
    def lr(self) -> float:
        """Base learning rate of the config, or the given one."""
        return float(self.optimizer.defaults['lr'])

    def step(self, share: float) -> None:
        """Clip the gradients of the last backward pass, and step.

        Args:
            share: used share of the budget, which sets the rate.
        """
        factor = rate_factor(share, self.warm_up)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group['lr'] = rate * factor
        if self.clip:
            parameters = [p for group in self.optimizer.param_groups for p in group['params']]
            nn.utils.clip_grad_norm_(parameters, **self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
