"""Stop of a tool with its child processes, none of which outlives the call."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """An exception after a signal that asked to stop.

    Args:
        signum: number of the signal.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f'stopped by {signal.Signals(signum).name}')

    @property
    def exit_code(self) -> int:
        """Exit status: 130 after SIGINT, 143 after SIGTERM."""
        return 128 + self.signum


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM end all child processes at once, and raise :class:`Stopped`."""

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        # Children end before the exception, as a pool that it passes through waits for them.
        end_children()
        raise Stopped(signum)

    before = {signum: signal.signal(signum, stop) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def end_children() -> None:
    """Kill the processes that multiprocessing has started; they write files atomically."""
    for child in multiprocessing.active_children():
        child.kill()


def follow_parent() -> None:
    """Leave Ctrl-C to the parent process, and end when it ends; for workers of a pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    """Wait for the end of the parent, even one that was killed, and end this process."""
    wait([sentinel])
    os._exit(1)
