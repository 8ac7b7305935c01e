"""Base of hooks that act at intervals and once more at the end."""

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.distributed import alone
from mssdf.errors import ConfigError

from ..unsharded_model import unsharded_model


class PeriodicHook(Hook):
    """A hook that calls :meth:`act` at intervals and at the end, on rank 0.

    Args:
        interval: number of epochs or iterations between two calls.
        by_epoch: whether the interval counts epochs; else it counts iterations.

    Raises:
        ValueError: if ``interval`` is below 1.
    """

    priority = 'LOW'

    def __init__(self, interval: int, by_epoch: bool) -> None:
        if interval < 1:
            raise ConfigError(f'{type(self).__name__}.interval', 'at least 1', interval)
        self.interval = interval
        self.by_epoch = by_epoch
        self._acted_at = -1

    def act(self, runner: Runner, iteration: int) -> None:
        """Act after some number of completed iterations; a subclass implements this."""
        raise NotImplementedError

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Act every ``interval`` iterations."""
        if not self.by_epoch and self.every_n_train_iters(runner, self.interval):
            self._act_once(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Act every ``interval`` epochs."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._act_once(runner, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Act at the end."""
        self._act_once(runner, runner.iter)

    def _act_once(self, runner: Runner, iteration: int) -> None:
        """Act, unless it was done at this iteration."""
        if self._acted_at == iteration:
            return
        self._acted_at = iteration
        with unsharded_model(runner):
            if is_main_process():
                with alone():
                    self.act(runner, iteration)
