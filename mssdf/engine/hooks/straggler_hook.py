"""Log of the slowest rank, for which the others wait."""

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_comm_device, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mssdf.distributed import gather_from_ranks, unwrap
from mssdf.errors import ConfigError
from mssdf.registry import HOOKS

COLUMNS = ('data', 'encoder', 'step')


class EncoderClock:
    """A clock for the encoder's forward passes, the part of a step that waits for no rank.

    On a GPU it measures by events, which are read where the device is waited for anyway.

    Args:
        encoder: encoder whose ``forward`` and, if it has one, ``encode`` are measured during
            training.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self._spans: list[tuple[Any, Any]] = []
        self._running = False
        for name in ('encode', 'forward'):
            method = getattr(encoder, name, None)
            if method is not None:
                setattr(encoder, name, partial(self._measure, method))  # survives deepcopy

    def _now(self, module: nn.Module) -> Any:
        """Return the time, or record an event on a GPU."""
        parameter = next(module.parameters(), None)
        if parameter is None or not parameter.is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _measure(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method and measure its time; a nested call counts once."""
        module = getattr(method, '__self__', None)
        if self._running or not isinstance(module, nn.Module) or not module.training:
            return method(*args, **kwargs)
        self._running = True
        begun = self._now(module)
        try:
            return method(*args, **kwargs)
        finally:
            self._spans.append((begun, self._now(module)))
            self._running = False

    def read(self) -> float:
        """Return the seconds measured since the last reading; waits for the device."""
        spans, self._spans = self._spans, []
        seconds = 0.0
        for begun, ended in spans:
            if isinstance(begun, float):
                seconds += ended - begun
            else:
                ended.synchronize()
                seconds += begun.elapsed_time(ended) / 1000
        return seconds


def summarize(times: np.ndarray) -> str:
    """Describe the slowest rank in one line.

    Args:
        times: array (ranks, 3) of seconds per iteration: waiting for data, in the encoder, whole
            step.
    """
    slowest = int(np.argmax(times[:, 0] + times[:, 1]))
    parts = [f'{name} {value:.3g} s' for name, value in zip(COLUMNS, times[slowest], strict=True)]
    medians = ' / '.join(f'{value:.3g}' for value in np.median(times, axis=0))
    return f'slowest: rank {slowest} {", ".join(parts)} (medians {medians})'


@HOOKS.register_module()
class StragglerHook(Hook):
    """A hook that logs the slowest rank with its times per iteration and the medians.

    A step takes the same time on all ranks, as they wait for each other in it. The slowest rank is
    therefore the one with the largest sum of what it does alone: waiting for data, and the
    encoder's forward pass. It costs one small collective every ``interval`` iterations and nothing
    in a run of one process.

    Args:
        interval: number of iterations between two lines of the log.

    Raises:
        ValueError: if it is below 1.
    """

    priority = 55  # runs before the logger

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ConfigError('StragglerHook.interval', 'at least 1', interval)
        self.interval = interval
        self._clock: EncoderClock | None = None
        self._forget()

    def _forget(self) -> None:
        self._iterations = 0
        self._data = self._step = 0.0

    def before_train(self, runner: Runner) -> None:
        """Start to measure the encoder."""
        encoder = getattr(unwrap(runner.model), 'backbone', None)
        if get_world_size() > 1 and isinstance(encoder, nn.Module):
            self._clock = EncoderClock(encoder)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note the start of the step, when the batch has arrived."""
        self._begun = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Sum up the times, and compare the ranks at intervals."""
        if get_world_size() == 1:
            return
        wait = getattr(runner.train_loop, 'batch_wait', None)
        self._data += wait.seconds if wait else 0.0
        self._step += time.perf_counter() - self._begun
        self._iterations += 1
        if not self.every_n_train_iters(runner, self.interval):
            return
        encoder = self._clock.read() if self._clock else 0.0
        mine = torch.tensor([self._data, encoder, self._step]) / self._iterations
        self._forget()
        times = gather_from_ranks(mine.to(get_comm_device())).cpu().numpy()
        runner.message_hub.update_scalar('train/slowest_data', float(times[:, 0].max()))
        runner.logger.info(summarize(times))
