"""Stop any training when it is asked to, with nothing lost."""

from datetime import timedelta
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import distributed

from mssdf.distributed import has_other_ranks, max_over_ranks
from mssdf.engine.interruption import StopRequest, TrainingInterrupted, current_request
from mssdf.registry import HOOKS

from ..batch_wait import BatchWait, wait_through
from ..phases import CHECKPOINT, START, VALIDATION, activity
from ..phases import HOOKS as BETWEEN
from ..watchdog import end_watch
from ..worker_signals import shield_workers
from .atomic_checkpoint_hook import save_interrupted

VALIDATION_DUE = 'validation_due'


@HOOKS.register_module()
class InterruptionHook(Hook):
    """SIGINT, SIGTERM or SIGUSR1 to any rank: all agree on an iteration, save, and stop.

    Training stops before the next step, also while a batch is waited for or a validation runs.
    What is completed goes to ``interrupted.pth``, then
    :class:`~mssdf.engine.TrainingInterrupted` is raised. So a stop takes the rest of one step, or
    of the computation of a validation's scores, and the writing of one checkpoint. A validation
    that was cut short is done when the run is resumed.

    Args:
        timeout: seconds that the ranks wait for each other, where they agree.
    """

    priority = 'VERY_HIGH'  # the stop comes before anything else of an iteration

    def __init__(self, timeout: float = 3600.0) -> None:
        self.timeout = timeout
        self._own: StopRequest | None = None
        self._val_iters = 0

    def before_train(self, runner: Runner) -> None:
        """Take note of signals from here on, and save for them."""
        activity.enter(START, runner.iter)
        stop = current_request()
        if stop is None:
            stop = self._own = StopRequest().__enter__()
        stop.training = True
        self.stop = stop
        if has_other_ranks() and distributed.get_backend() != 'gloo':
            waits = timedelta(seconds=self.timeout)
            stop.share(distributed.new_group(backend='gloo', timeout=waits))
        wait = BatchWait(stop, runner.optim_wrapper.should_update, lambda: self._stop_all(runner))
        wait_through(runner.train_loop, wait)
        if runner.val_loop is not None:
            shield_workers(runner.val_loop.dataloader)

    def before_train_epoch(self, runner: Runner) -> None:
        """Make up for a validation that was cut short."""
        self._validate_if_due(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Stop here if any rank was asked to."""
        if self.stop.agreed() and runner.optim_wrapper.should_update():
            self._stop(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Another phase begins."""
        activity.enter(BETWEEN, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Agree on how often to ask."""
        activity.enter(VALIDATION)
        mine = len(runner.val_loop.dataloader)
        self._val_iters = max_over_ranks(mine, self.stop.group)
        if mine == 0:
            self._ask(runner, self._val_iters)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Stop here if any rank was asked to."""
        activity.enter(VALIDATION)
        self._ask(runner)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Answer those who have more to validate than this rank."""
        mine = len(runner.val_loop.dataloader)
        if batch_idx + 1 == mine:
            self._ask(runner, self._val_iters - mine)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """The validation is complete."""
        runner.message_hub.update_info(VALIDATION_DUE, False)
        activity.enter(BETWEEN)

    def after_train(self, runner: Runner) -> None:
        """Training is complete: nothing is left to be saved for a signal."""
        self._validate_if_due(runner)
        self.leave()

    def _validate_if_due(self, runner: Runner) -> None:
        if runner.message_hub.runtime_info.get(VALIDATION_DUE) and runner.val_loop is not None:
            runner.logger.info('Doing the validation that was cut short.')
            runner.val_loop.run()

    def _ask(self, runner: Runner, times: int = 1) -> None:
        for _ in range(times):
            if self.stop.agreed():
                runner.message_hub.update_info(VALIDATION_DUE, True)
                self._stop(runner)

    def _stop_all(self, runner: Runner) -> None:
        self.stop.agreed()
        self._stop(runner)

    def _stop(self, runner: Runner) -> None:
        """Save what all ranks have completed.

        Raises:
            TrainingInterrupted: always.
        """
        activity.enter(CHECKPOINT)
        checkpoint = save_interrupted(runner) if runner.iter else ''
        end_watch()
        self.stop.agreed()  # the others stay until it is written
        signum = self.stop.signum
        self.leave()
        raise TrainingInterrupted(checkpoint, runner.iter, signum)

    def leave(self) -> None:
        """Leave signals to those who had them before."""
        if self._own is not None:
            self._own.__exit__(None, None, None)
            self._own = None


def require_interruption_hook(runner: Runner) -> InterruptionHook:
    """Have a run stop when it is asked to, also one whose config does not say so."""
    for hook in runner.hooks:
        if isinstance(hook, InterruptionHook):
            return hook
    hook = InterruptionHook()
    runner.register_hook(hook)
    return hook
