"""Data workers outlive the signals that a scheduler sends to every process of a job.

Slurm and torchrun signal whole process groups. A worker that dies of it takes its main process
along, before that could save.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from torch.utils.data import DataLoader, get_worker_info

WAITED_FOR = (signal.SIGTERM, signal.SIGUSR1)
HELD_BACK = (*WAITED_FOR, signal.SIGINT)


def _heed_the_parent_alone(parent: int) -> None:
    """Wait for signals for ever; end with SIGTERM from the parent, which is how it stops us."""
    while True:
        received = signal.sigwaitinfo(WAITED_FOR)
        if received.si_signo == signal.SIGTERM and received.si_pid == parent:
            os._exit(0)


class Shielded:
    """A ``worker_init_fn`` that lets only the main process end the worker.

    Args:
        then: the ``worker_init_fn`` to call afterwards.
    """

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self.then = then

    def __call__(self, worker_id: int) -> None:
        """Shield this worker, and only a worker."""
        if get_worker_info() is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            threading.Thread(
                target=_heed_the_parent_alone, args=(os.getppid(),), daemon=True
            ).start()
        if self.then is not None:
            self.then(worker_id)


def shield_workers(loader: DataLoader) -> None:
    """Let the workers that a loader starts from now on outlive SIGTERM and SIGUSR1 to the group."""
    if not isinstance(loader.worker_init_fn, Shielded):
        loader.worker_init_fn = Shielded(loader.worker_init_fn)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Start processes inside: they begin with the signals held back; ours come afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    # comes with the first process that is spawned, and lets signals through again
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
