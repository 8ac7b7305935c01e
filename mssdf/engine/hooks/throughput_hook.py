"""Log of throughput, time waiting for data, and memory."""

import resource
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.errors import ConfigError
from mssdf.registry import HOOKS


def batch_size(data_batch: Any) -> int:
    """Return the number of samples in a collated batch."""
    inputs = data_batch['inputs'] if isinstance(data_batch, Mapping) else data_batch
    if isinstance(inputs, Mapping):
        inputs = next(iter(inputs.values()))
    return len(inputs)


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)


@HOOKS.register_module()
class ThroughputHook(Hook):
    """A hook that logs throughput, time waiting for data, and memory.

    It logs ``pairs_per_s`` over all ranks, ``data_wait`` (share of the time, 0...1) and
    ``ram_mib``. They are measured over the last iterations, with everything between them
    (checkpoints, pictures) except the time between two epochs.

    Args:
        window: number of iterations; None takes that of the log processor.
    """

    priority = 55  # runs before the logger

    def __init__(self, window: int | None = None) -> None:
        if window is not None and window < 1:
            raise ConfigError('ThroughputHook.window', 'at least 1', window)
        self.window = window
        self._last = 0.0

    def before_train(self, runner: Runner) -> None:
        """Start an empty window of (samples, seconds waited, seconds)."""
        self._records: deque[tuple[int, float, float]] = deque(
            maxlen=self.window or runner.log_processor.window_size
        )

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the clock."""
        self._last = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Log the window that ends here."""
        now = time.perf_counter()
        wait = getattr(runner.train_loop, 'batch_wait', None)
        waited = wait.seconds if wait else 0.0
        self._records.append((batch_size(data_batch), waited, now - self._last))
        self._last = now
        samples, waited, seconds = (sum(column) for column in zip(*self._records, strict=True))
        hub = runner.message_hub
        hub.update_scalar('train/pairs_per_s', samples * get_world_size() / max(seconds, 1e-9))
        hub.update_scalar('train/data_wait', min(waited / max(seconds, 1e-9), 1.0))
        hub.update_scalar('train/ram_mib', peak_memory())
