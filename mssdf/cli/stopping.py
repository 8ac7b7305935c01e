"""Stopping of a tool with processes of its own: none outlives the call that started it."""

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
    """A signal asked to stop.

    Args:
        signum: the signal.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f'stopped by {signal.Signals(signum).name}')

    @property
    def exit_code(self) -> int:
        """Status to exit with: 130 after SIGINT, 143 after SIGTERM."""
        return 128 + self.signum


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM end all child processes at once, and raise :class:`Stopped`."""

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        # before the exception: a pool that it passes through waits for what its processes do
        end_children()
        raise Stopped(signum)

    before = {signum: signal.signal(signum, stop) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def end_children() -> None:
    """Kill the processes that multiprocessing has started; they write their files atomically."""
    for child in multiprocessing.active_children():
        child.kill()


def follow_parent() -> None:
    """Leave Ctrl-C to the parent process, and end when it ends; for the workers of a pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    """Wait for the end of the parent, even one that was killed, and end this process."""
    wait([sentinel])
    os._exit(1)
