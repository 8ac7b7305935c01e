"""Random numbers that follow from the position in training alone."""

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.registry import HOOKS

from ..randomness import seed_all


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed the main process before each iteration from (seed, rank, iteration).

    Masks, drop path and whatever else is drawn are then the same in a run that was resumed
    anywhere and in one that never stopped.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed Python, NumPy and PyTorch."""
        seed_all(runner.seed or 0, get_rank(), runner.iter)
