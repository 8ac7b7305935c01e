"""Waiting for batches in any of MMEngine's loops, measured and cut short by a stop."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from mssdf.engine.interruption import Abandoned, StopRequest

from .phases import DATA, STEP, activity
from .worker_signals import shield_workers, signals_held_back


class BatchWait:
    """A wait for a batch that is measured and that a request to stop ends.

    Args:
        stop: request to stop, which cuts the wait short.
        may_stop: function that tells whether training may end here; between two accumulated
            gradients it may not.
        stopped: function that is called after a stop during the wait; it ends training by an
            exception.

    Attributes:
        seconds: seconds that the last batch was waited for.
    """

    def __init__(
        self, stop: StopRequest, may_stop: Callable[[], bool], stopped: Callable[[], None]
    ) -> None:
        self.stop = stop
        self.may_stop = may_stop
        self.stopped = stopped
        self.seconds = 0.0

    def next(self, batches: Iterator[Any]) -> Any:
        """Wait for the next batch."""
        start = time.perf_counter()
        activity.enter(DATA)
        if not self.may_stop():
            batch = next(batches)
        else:
            try:
                with self.stop.abandonable():
                    batch = next(batches)
            except Abandoned:
                self.stopped()
                raise  # not reached: a rank that was asked to stop makes all ranks stop
        self.seconds = time.perf_counter() - start
        activity.enter(STEP)
        return batch


class WaitedIterator:
    """An iterator over batches that waits through a :class:`BatchWait`.

    Args:
        batches: iterator over batches, whose other attributes are passed on.
        wait: wait that is used for each batch.
    """

    def __init__(self, batches: Iterator[Any], wait: BatchWait) -> None:
        self._batches = batches
        self._wait = wait

    def __iter__(self) -> 'WaitedIterator':
        return self

    def __next__(self) -> Any:
        return self._wait.next(self._batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['_batches'], name)


class WaitedLoader:
    """A data loader whose batches are waited for through a :class:`BatchWait`.

    Args:
        loader: data loader, whose other attributes are passed on.
        wait: wait that is used for each batch.
    """

    def __init__(self, loader: DataLoader, wait: BatchWait) -> None:
        self.loader = loader
        self.wait = wait

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> WaitedIterator:
        with signals_held_back():
            batches = iter(self.loader)
        return WaitedIterator(batches, self.wait)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['loader'], name)


def wait_through(loop: Any, wait: BatchWait) -> None:
    """Let a training loop wait for its batches through ``wait``, as ``loop.batch_wait``."""
    shield_workers(loop.dataloader)
    if isinstance(loop, IterBasedTrainLoop):
        loop.dataloader_iterator = WaitedIterator(loop.dataloader_iterator, wait)
    elif isinstance(loop, EpochBasedTrainLoop):
        loop.dataloader = WaitedLoader(loop.dataloader, wait)
    loop.batch_wait = wait
