"""Protection of data workers from signals that a scheduler sends to every process of a job.

Slurm and torchrun signal whole process groups. A worker that dies of a signal ends its main process
too, before that can save.
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
    """Wait for signals; exit only after SIGTERM from the parent."""
    while True:
        received = signal.sigwaitinfo(WAITED_FOR)
        if received.si_signo == signal.SIGTERM and received.si_pid == parent:
            os._exit(0)


class Shielded:
    """A ``worker_init_fn`` after which only the main process can end the worker.

    Args:
        then: further ``worker_init_fn`` that is called afterwards; None calls nothing.
    """

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self.then = then

    def __call__(self, worker_id: int) -> None:
        """Block signals in a data worker, but not in the main process."""
        if get_worker_info() is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            threading.Thread(
                target=_heed_the_parent_alone, args=(os.getppid(),), daemon=True
            ).start()
        if self.then is not None:
            self.then(worker_id)


def shield_workers(loader: DataLoader) -> None:
    """Protect the workers that a loader starts from now on from SIGTERM and SIGUSR1."""
    if not isinstance(loader.worker_init_fn, Shielded):
        loader.worker_init_fn = Shielded(loader.worker_init_fn)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold signals back in a block that starts processes.

    The processes start with the signals blocked. Signals to this process arrive after the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    # It starts with the first process that is spawned and unblocks signals, so it starts now.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
