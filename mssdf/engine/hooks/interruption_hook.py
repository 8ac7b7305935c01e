"""Stop of any training on request, without loss of completed iterations."""

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
    """A hook that stops all ranks at one iteration after SIGINT, SIGTERM or SIGUSR1 to any.

    Training stops before the next step, also while a batch is waited for or a validation runs.
    Completed iterations are saved to ``interrupted.pth``, then
    :class:`~mssdf.engine.TrainingInterrupted` is raised. A stop thus takes the rest of one step, or
    of the computation of a validation's scores, and the writing of one checkpoint. A validation
    that was cut short is done when the run resumes.

    Args:
        timeout: seconds that the ranks wait for each other when they agree.
    """

    priority = 'VERY_HIGH'  # the stop comes before all other hooks of an iteration

    def __init__(self, timeout: float = 3600.0) -> None:
        self.timeout = timeout
        self._own: StopRequest | None = None
        self._val_iters = 0

    def before_train(self, runner: Runner) -> None:
        """Take note of signals from here on, with something to save."""
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
        """Do a validation that was cut short."""
        self._validate_if_due(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Stop here if any rank was asked to stop."""
        if self.stop.agreed() and runner.optim_wrapper.should_update():
            self._stop(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Enter the phase between two steps."""
        activity.enter(BETWEEN, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Agree on the number of times that all ranks ask each other."""
        activity.enter(VALIDATION)
        mine = len(runner.val_loop.dataloader)
        self._val_iters = max_over_ranks(mine, self.stop.group)
        if mine == 0:
            self._ask(runner, self._val_iters)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Stop here if any rank was asked to stop."""
        activity.enter(VALIDATION)
        self._ask(runner)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Answer the ranks that have more to validate than this one."""
        mine = len(runner.val_loop.dataloader)
        if batch_idx + 1 == mine:
            self._ask(runner, self._val_iters - mine)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note that the validation is complete."""
        runner.message_hub.update_info(VALIDATION_DUE, False)
        activity.enter(BETWEEN)

    def after_train(self, runner: Runner) -> None:
        """Stop taking note of signals, as nothing is left to be saved."""
        self._validate_if_due(runner)
        self.leave()

    def _validate_if_due(self, runner: Runner) -> None:
        """Do a validation that was cut short, if there is one."""
        if runner.message_hub.runtime_info.get(VALIDATION_DUE) and runner.val_loop is not None:
            runner.logger.info('Doing the validation that was cut short.')
            runner.val_loop.run()

    def _ask(self, runner: Runner, times: int = 1) -> None:
        """Stop here if any rank was asked to stop, at some agreement among the ranks."""
        for _ in range(times):
            if self.stop.agreed():
                runner.message_hub.update_info(VALIDATION_DUE, True)
                self._stop(runner)

    def _stop_all(self, runner: Runner) -> None:
        """Make all ranks stop, then stop."""
        self.stop.agreed()
        self._stop(runner)

    def _stop(self, runner: Runner) -> None:
        """Save the iterations that all ranks have completed, and stop.

        Raises:
            TrainingInterrupted: in every case.
        """
        activity.enter(CHECKPOINT)
        checkpoint = save_interrupted(runner) if runner.iter else ''
        end_watch()
        self.stop.agreed()  # the other ranks wait until the checkpoint is written
        signum = self.stop.signum
        self.leave()
        raise TrainingInterrupted(checkpoint, runner.iter, signum)

    def leave(self) -> None:
        """Restore the signal handlers."""
        if self._own is not None:
            self._own.__exit__(None, None, None)
            self._own = None


def require_interruption_hook(runner: Runner) -> InterruptionHook:
    """Return the run's interruption hook; register one if the config has none."""
    for hook in runner.hooks:
        if isinstance(hook, InterruptionHook):
            return hook
    hook = InterruptionHook()
    runner.register_hook(hook)
    return hook
