"""Stopping between two iterations when the user or the scheduler asks for it.

One :class:`StopRequest` at a time takes note of the signals of a process; the loop, its hooks and
whatever takes long ask it. On a cluster the whole way is described in docs/cluster.md.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from mssdf.distributed import max_over_ranks

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# sysexits.h: "temporary failure; the user is invited to retry". Not os.EX_TEMPFAIL, which other
# systems than Unix lack.
REQUEUE = 75


class TrainingInterrupted(KeyboardInterrupt):
    """Training stopped on request, with all completed iterations saved.

    Args:
        checkpoint: where they are; '' if none was completed.
        iteration: how many are completed.
        signum: what asked for it.
    """

    def __init__(self, checkpoint: str, iteration: int, signum: int) -> None:
        self.checkpoint = checkpoint
        self.iteration = iteration
        self.signum = signum
        where = f'saved in {checkpoint}' if checkpoint else 'nothing to save'
        super().__init__(f'stopped after {iteration} iterations, {where}')

    @property
    def exit_code(self) -> int:
        """130 for the user's Ctrl-C; for the scheduler's signals 75: start the same run again."""
        return 128 + signal.SIGINT if self.signum == signal.SIGINT else REQUEUE


class Abandoned(KeyboardInterrupt):
    """Leaves work that is not worth finishing, as a stop was asked for."""


class StopRequest:
    """Take note of SIGINT, SIGTERM and SIGUSR1 instead of dying.

    A second SIGINT acts as usual. SIGTERM and SIGUSR1 may come again and again, as launchers and
    schedulers send them to the whole process group and once more at the time limit.

    A context manager, for the main thread; elsewhere signals are left alone.

    Attributes:
        signum: the signal that asked for a stop, 0 as long as none did.
        training: whether there is something to save; before that, a signal ends the process.
    """

    def __init__(self, training: bool = True) -> None:
        self.signum = 0
        self.training = training
        self.group: Any = None
        self._pid = os.getpid()
        self._abandonable = False
        self._previous: dict[int, object] = {}
        self._outer: StopRequest | None = None

    def __enter__(self) -> 'StopRequest':
        global _current
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                self._previous[signum] = signal.signal(signum, self._note)
        self._outer, _current = _current, self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        global _current
        _current = self._outer
        self._restore(*SIGNALS)

    def _restore(self, *signums: int) -> None:
        for signum in signums:
            if signum in self._previous:
                handler = self._previous.pop(signum)
                signal.signal(signum, handler)  # type: ignore[arg-type]

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a data worker, forked from here: its main process decides
        first, self.signum = not self.signum, self.signum or signum
        if signum == signal.SIGINT:
            self._restore(signum)
            if not self.training:
                signal.raise_signal(signum)
        if not self.training:
            raise TrainingInterrupted('', 0, signum)
        if first:
            again = '; once more: stop at once' if signum == signal.SIGINT else ''
            # not through logging or print: a handler may have interrupted either
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2,
                f'\nStopping after this iteration and saving{again}.\n'.encode(),
            )
        if self._abandonable:
            self._abandonable = False
            raise Abandoned

    @contextmanager
    def abandonable(self) -> Iterator[None]:
        """Inside, a stop that is asked for raises :class:`Abandoned`, at once if it has been."""
        try:
            self._abandonable = True
            if self.signum:
                raise Abandoned
            yield
        finally:
            self._abandonable = False

    def share(self, group: Any) -> None:
        """Agree through a process group of CPU tensors, so that no device is waited for."""
        self.group = group

    def agreed(self) -> bool:
        """Whether any rank was asked to stop. All ranks call it at the same iteration."""
        agreed = max_over_ranks(self.signum, self.group)
        if agreed:  # else a signal that came meanwhile stays, for the next time: others do not know
            self.signum = agreed
        return bool(agreed)


_current: StopRequest | None = None


def current_request() -> StopRequest | None:
    """The request that takes note of this process's signals now, if any does."""
    return _current


def unless_stopped(act: Callable[[], None]) -> bool:
    """Do something that a stop may leave undone, or leave it where it is as soon as one is asked.

    Returns:
        Whether it was done.
    """
    if _current is None:
        act()
        return True
    try:
        with _current.abandonable():
            act()
    except Abandoned:
        return False
    return True
