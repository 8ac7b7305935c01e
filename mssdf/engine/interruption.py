"""Stop of a run between two iterations at the request of the user or the scheduler.

One :class:`StopRequest` at a time takes note of the signals of a process. The loop, its hooks and
all long operations ask it. docs/guide/cluster.md describes the complete procedure on a cluster.
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
# sysexits.h: "temporary failure; the user is invited to retry". os.EX_TEMPFAIL is not used, as only
# Unix has it.
REQUEUE = 75


class TrainingInterrupted(KeyboardInterrupt):
    """An exception after a requested stop, with all completed iterations saved.

    Args:
        checkpoint: path of the checkpoint that holds them; '' if no iteration was completed.
        iteration: number of completed iterations.
        signum: number of the signal that asked for the stop.
    """

    def __init__(self, checkpoint: str, iteration: int, signum: int) -> None:
        self.checkpoint = checkpoint
        self.iteration = iteration
        self.signum = signum
        where = f'saved in {checkpoint}' if checkpoint else 'nothing to save'
        super().__init__(f'stopped after {iteration} iterations, {where}')

    @property
    def exit_code(self) -> int:
        """Exit code: 130 after Ctrl-C; 75, for a restart, after a scheduler's signal."""
        return 128 + signal.SIGINT if self.signum == signal.SIGINT else REQUEUE


class Abandoned(KeyboardInterrupt):
    """An exception that leaves work that is not worth finishing after a request to stop."""


class StopRequest:
    """A context that takes note of SIGINT, SIGTERM and SIGUSR1 instead of ending the process.

    A second SIGINT acts as usual. SIGTERM and SIGUSR1 may come repeatedly: launchers and schedulers
    send them to the whole process group and once more at the time limit.

    It takes signals in the main thread only; in other threads it leaves them alone.

    Attributes:
        signum: number of the signal that asked for a stop; 0 if none did.
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
        """Take note of a signal; this is the signal handler."""
        if os.getpid() != self._pid:
            return  # a data worker, forked from this process, leaves the decision to it
        first, self.signum = not self.signum, self.signum or signum
        if signum == signal.SIGINT:
            self._restore(signum)
            if not self.training:
                signal.raise_signal(signum)
        if not self.training:
            raise TrainingInterrupted('', 0, signum)
        if first:
            again = '; once more: stop at once' if signum == signal.SIGINT else ''
            # Logging and print are not used: the handler may have interrupted either.
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2,
                f'\nStopping after this iteration and saving{again}.\n'.encode(),
            )
        if self._abandonable:
            self._abandonable = False
            raise Abandoned

    @contextmanager
    def abandonable(self) -> Iterator[None]:
        """Enter a block in which a request to stop raises :class:`Abandoned` at once.

        A request that came before the block raises it on entry.
        """
        try:
            self._abandonable = True
            if self.signum:
                raise Abandoned
            yield
        finally:
            self._abandonable = False

    def share(self, group: Any) -> None:
        """Set a process group of CPU tensors for the agreement, so that no device is waited for."""
        self.group = group

    def agreed(self) -> bool:
        """Tell whether any rank was asked to stop; all ranks call this at the same iteration."""
        agreed = max_over_ranks(self.signum, self.group)
        if agreed:  # else a signal that came meanwhile stays, for the next time: others do not know
            self.signum = agreed
        return bool(agreed)


_current: StopRequest | None = None


def current_request() -> StopRequest | None:
    """Return the request that takes note of this process's signals; None if there is none."""
    return _current


def unless_stopped(act: Callable[[], None]) -> bool:
    """Run a function that a request to stop abandons at once.

    Returns:
        True if the function was completed.
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
