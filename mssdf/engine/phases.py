"""Current activity of this process, for observers in another thread or on another rank."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DATA, STEP, HOOKS, VALIDATION, CHECKPOINT, EVALUATION, START, END = (
    'waiting for data',
    'step',
    'between two steps',
    'validation',
    'checkpoint',
    'evaluation',
    'starting',
    'ended',
)


@dataclass
class Activity:
    """The iteration and the phase of the training thread.

    Attributes:
        iteration: number of completed iterations.
        phase: name of the phase, one of those above.
        since: start of the phase by ``time.monotonic``, in seconds.
    """

    iteration: int = 0
    phase: str = START
    since: float = field(default_factory=time.monotonic)

    def enter(self, phase: str, iteration: int | None = None) -> None:
        """Begin a phase; a phase of the same name begins again."""
        if iteration is not None:
            self.iteration = iteration
        self.phase, self.since = phase, time.monotonic()

    @contextmanager
    def within(self, phase: str) -> Iterator[None]:
        """Enter a phase inside another one, which is restored afterwards."""
        outer = self.phase
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(outer)


#: Activity of this process, which trains one model at a time.
activity = Activity()
