"""What this process is doing now, for those who watch it from another thread or another rank."""

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
    """Iteration and phase of the training thread.

    Attributes:
        iteration: completed iterations.
        phase: one of the names above.
        since: when it began, by ``time.monotonic``.
    """

    iteration: int = 0
    phase: str = START
    since: float = field(default_factory=time.monotonic)

    def enter(self, phase: str, iteration: int | None = None) -> None:
        """Begin a phase; that of the same name anew."""
        if iteration is not None:
            self.iteration = iteration
        self.phase, self.since = phase, time.monotonic()

    @contextmanager
    def within(self, phase: str) -> Iterator[None]:
        """A phase inside another one, which goes on afterwards."""
        outer = self.phase
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(outer)


#: of this process; it trains one model at a time
activity = Activity()
