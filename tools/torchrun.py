"""Start a script in several processes with torchrun, with signals and exit codes passed on.

Usage: ``python tools/torchrun.py [options of torchrun] SCRIPT [arguments of the script]``

torchrun by itself (torch 2.11) dies of SIGUSR1 and leaves its workers behind; after SIGTERM and
SIGINT it gives them 30 seconds, even if they are writing; and it turns every exit code into 1.
Here SIGINT, SIGTERM and SIGUSR1 are passed on, and the workers end by themselves. The exit code is
theirs:

- 75 or 130 if they stopped as requested, with everything saved;
- else that of the worker that failed first (128 + the signal that killed it), with one line that
  names it. torchrun then ends the other workers of its node, after 30 seconds by SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import PContext
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

STOPPED = (75, 130)  # from mssdf.engine.interruption, which takes seconds to import
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Workers:
    """A record of torchrun's processes, which passes signals on to them."""

    def __init__(self) -> None:
        self.contexts: list[PContext] = []
        self.asked = False

    def follow(self) -> None:
        """Take over the signals, now and whenever torchrun has taken them."""
        start = PContext.start

        def start_and_follow(context: PContext) -> None:
            start(context)
            self.contexts.append(context)
            self._listen()

        PContext.start = start_and_follow  # type: ignore[method-assign,assignment]
        self._listen()

    def _listen(self) -> None:
        for signum in PASSED_ON:
            signal.signal(signum, self._pass_on)

    def _pass_on(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True
        pids = [pid for context in self.contexts for pid in context.pids().values()]
        if not pids:  # no worker exists yet, so there is nothing to save
            sys.exit(130 if signum == signal.SIGINT else STOPPED[0])
        for pid in pids:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass


def exit_code(failures: Iterable[Any], asked: bool) -> int:
    """Choose one exit code for several workers.

    Args:
        failures: failures of torchrun, each with ``exitcode`` (negative: killed by that signal) and
            ``timestamp``.
        asked: whether a signal was passed on; it kills a worker that is still starting.
    """
    first = min(failures, key=lambda failure: failure.timestamp)
    if asked and -first.exitcode in (signal.SIGTERM, signal.SIGUSR1):
        return STOPPED[0]
    return first.exitcode if first.exitcode >= 0 else 128 - first.exitcode


def describe(rank: int, failure: Any) -> str:
    """Describe the worker that failed first in one line."""
    code = failure.exitcode
    how = f'was killed by {signal.Signals(-code).name}' if code < 0 else f'ended with code {code}'
    return f'rank {rank} (host {os.uname().nodename}, process {failure.pid}) {how}'


def main(arguments: list[str] | None = None) -> int:
    """Run torchrun."""
    workers = Workers()
    workers.follow()
    try:
        run.main(arguments)
    except ChildFailedError as error:
        code = exit_code(error.failures.values(), workers.asked)
        if code not in STOPPED:
            print(f'torchrun.py: {describe(*error.get_first_failure())}', flush=True)
        return code
    return 0


if __name__ == '__main__':
    sys.exit(main())
