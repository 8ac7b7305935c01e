"""Means of logged values between two readings, kept on the device of the values."""

from collections.abc import Mapping

import torch
from torch import Tensor


class RunningMeans:
    """A set of sums and counts by name; nothing is fetched from the device until it is read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the values of one iteration."""
        for name, value in values.items():
            value = value.detach().float().mean()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means since the last call, and start again from zero."""
        if not self._sums:
            return {}
        means = torch.stack([total / self._counts[name] for name, total in self._sums.items()])
        found = dict(zip(self._sums, means.tolist(), strict=True))
        self._sums, self._counts = {}, {}
        return found
