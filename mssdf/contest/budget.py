"""Budgets of training in seconds or windows, and the clock that counts the seconds."""

import re
import time
from dataclasses import dataclass

import torch

UNITS = dict(s='seconds', w='windows')


@dataclass(frozen=True)
class Budget:
    """An amount of training.

    Attributes:
        amount: number of seconds or windows.
        unit: ``'seconds'`` or ``'windows'``.
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> 'Budget':
        """Parse ``'600s'`` (seconds) or ``'100000w'`` (windows).

        Raises:
            ValueError: if the text has another form.
        """
        found = re.fullmatch(r'(\d+(?:\.\d+)?)([sw])', text.strip())
        if not found or float(found[1]) <= 0:
            raise ValueError(
                f'budget: expected seconds such as 600s or windows such as 100000w, found {text!r}'
            )
        return cls(float(found[1]), UNITS[found[2]])

    def share(self, seconds: float, windows: int) -> float:
        """Return the used share of the budget, 0 to 1."""
        used = seconds if self.unit == 'seconds' else windows
        return min(used / self.amount, 1.0)

    def __str__(self) -> str:
        return f'{self.amount:g} {self.unit}'


class Clock:
    """A clock that is fair to recipes that share the machine with others.

    On a CPU it counts seconds of processor time of this process over all its threads, so other
    processes on the same cores do not count. On a GPU it counts seconds of wall time, and the
    caller ensures before reading that the GPU has finished its work.

    Args:
        device: device of the training.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._read = time.process_time if device.type == 'cpu' else time.perf_counter
        self._start = self._read()

    @property
    def unit(self) -> str:
        """Kind of the seconds, for a table."""
        return 'processor time of the process' if self.device.type == 'cpu' else 'wall time'

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._read() - self._start

    def wait(self) -> None:
        """Wait until the GPU has finished its work."""
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
