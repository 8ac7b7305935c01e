"""End of the job when a rank dies or hangs, with the name of that rank."""

import math

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.distributed import has_other_ranks
from mssdf.errors import ConfigError
from mssdf.registry import HOOKS

from ..watchdog import end_watch, watch


@HOOKS.register_module()
class WatchdogHook(Hook):
    """A hook that lets every rank watch all ranks during training.

    It runs :mod:`mssdf.engine.watchdog`, and nothing in a run of one process. A rank whose process
    is gone is noticed at once on its own machine, and after ``silence`` seconds from others. The
    timeout of the process group (``env_cfg.dist_cfg.timeout``) should be no shorter than
    ``long_timeout``.

    Args:
        interval: seconds between two beats of a rank.
        silence: seconds without a beat after which a rank counts as dead or stopped.
        timeout: seconds that a rank may wait for one batch, or that all ranks may be in one step.
        long_timeout: seconds that one rank may spend on a checkpoint, an evaluation or other work
            between two steps, while the others wait for it.

    Raises:
        ValueError: if a time is not positive, or ``silence`` is below two intervals.
    """

    priority = 'LOWEST'

    def __init__(
        self,
        interval: float = 5.0,
        silence: float = 120.0,
        timeout: float = 600.0,
        long_timeout: float = 3600.0,
    ) -> None:
        self.settings = dict(
            interval=interval, silence=silence, timeout=timeout, long_timeout=long_timeout
        )
        for key, value in self.settings.items():
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f'WatchdogHook.{key}', 'seconds above 0', value)
        if silence < 2 * interval:
            raise ConfigError(
                'WatchdogHook.silence', f'at least two intervals of {interval} s', silence
            )

    def before_train(self, runner: Runner) -> None:
        """Start to watch."""
        if has_other_ranks():
            watch(**self.settings)

    def after_train(self, runner: Runner) -> None:
        """End the watch."""
        end_watch()
