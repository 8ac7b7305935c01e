"""Stopping between two iterations when the user or the scheduler asks for it."""

import os
import signal
import sys
import threading
from types import FrameType, TracebackType

import torch
from mmengine.dist import all_reduce, get_world_size

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(KeyboardInterrupt):
    """Training stopped on request, with all completed iterations saved.

    Args:
        checkpoint: where they are.
        iteration: how many are completed.
        signum: what asked for it.
    """

    def __init__(self, checkpoint: str, iteration: int, signum: int) -> None:
        self.checkpoint = checkpoint
        self.iteration = iteration
        self.signum = signum
        super().__init__(f'stopped after {iteration} iterations, saved in {checkpoint}')


class StopRequest:
    """Take note of SIGINT and SIGTERM instead of dying; a second signal acts as usual.

    A context manager, for the main thread; elsewhere signals are left alone.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._pid = os.getpid()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> 'StopRequest':
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]
        self._previous = {}

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a data worker, forked from here
            if signum != signal.SIGINT:  # Ctrl-C reaches the whole group: the main process decides
                signal.signal(signum, signal.SIG_DFL)
                os.kill(os.getpid(), signum)
            return
        self.signum = signum
        self._restore()
        # not through logging or print: a handler may have interrupted either
        os.write(
            sys.__stderr__.fileno() if sys.__stderr__ else 2,
            b'\nStopping after this iteration and saving; once more: stop at once.\n',
        )

    def agreed(self) -> bool:
        """Whether any rank was asked to stop. All ranks call it at the same iteration."""
        if get_world_size() == 1:
            return bool(self.signum)
        asked = torch.tensor(float(self.signum))
        all_reduce(asked, op='max')
        self.signum = int(asked.item())
        return bool(self.signum)
