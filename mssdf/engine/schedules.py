"""Schedules: values as pure functions of the position in training (method.md, sections 3, 5, 6)."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Protocol

from mssdf.errors import ConfigError, Words


@dataclass(frozen=True)
class Position:
    """The position in training.

    Attributes:
        iteration: number of completed iterations.
        epoch: number of completed epochs.
        max_iterations: number of iterations of the whole training; None if it is unknown.
    """

    iteration: int
    epoch: int = 0
    max_iterations: int | None = None

    def count(self, by_epoch: bool) -> int:
        """Return the number of completed epochs, or of completed iterations."""
        return self.epoch if by_epoch else self.iteration

    def share(self) -> float:
        """Return the completed share of training, 0...1.

        Raises:
            ValueError: if the length of training is unknown.
        """
        return min(max(self.iteration / max(self._length(), 1), 0.0), 1.0)

    def iterations(self, share: float) -> float:
        """Convert a share of training into iterations.

        Raises:
            ValueError: if the length of training is unknown.
        """
        return share * self._length()

    def _length(self) -> int:
        if self.max_iterations is None:
            raise ConfigError(
                'max_iterations', 'the length of training for a schedule in shares of it'
            )
        return self.max_iterations


class Schedule(Protocol):
    """A value for each position in training."""

    def at(self, position: Position, configured: float) -> float:
        """Compute the value at a position.

        Args:
            position: position in training.
            configured: value that the model's config gives, which a schedule may refer to.
        """
        ...

    def values(self) -> dict[str, float | None]:
        """Return the arguments that are values, by name, for a check of their range."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same value throughout.

    Args:
        value: value at every position.
    """

    value: float

    def at(self, position: Position, configured: float) -> float:
        """Return the value."""
        return self.value

    def values(self) -> dict[str, float | None]:
        """Return the value."""
        return dict(value=self.value)


@dataclass(frozen=True)
class Linear:
    """A straight line between two positions, level before and after.

    Args:
        begin: position where the line leaves ``start``: in iterations (an integer), or as a share
            of training (where ``begin`` or ``until`` is a float, both within 0...1).
        until: position where it reaches ``end``, in the same unit.
        start: value before.
        end: value afterwards; None takes the value that the model's config gives.
        by_epoch: count whole epochs where integers are given, instead of iterations.

    Raises:
        ValueError: if the positions fall or leave training.
    """

    begin: float
    until: float
    start: float = 0.0
    end: float | None = None
    by_epoch: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.begin <= self.until:
            raise ConfigError(
                'Linear', '0 <= begin <= until', Words(f'{self.begin} and {self.until}')
            )
        if self.in_shares and self.until > 1:
            raise ConfigError(
                'Linear',
                'begin and until in iterations (integers) or as shares of training within 0...1',
                Words(f'{self.begin} and {self.until}'),
            )

    @property
    def in_shares(self) -> bool:
        """Tell whether the positions are shares of training."""
        return isinstance(self.begin, float) or isinstance(self.until, float)

    def at(self, position: Position, configured: float) -> float:
        """Compute the value at a position; see :class:`Schedule`."""
        end = configured if self.end is None else self.end

        count, begin, until = position.count(self.by_epoch), self.begin, self.until
        if self.in_shares:  # shares are exact to the iteration, whatever is counted
            count = position.iteration
            begin, until = position.iterations(begin), position.iterations(until)

        if begin == until:
            return end if count >= until else self.start
        return self.start + (end - self.start) * min(
            max((count - begin) / (until - begin), 0.0), 1.0
        )

    def values(self) -> dict[str, float | None]:
        """Return both ends."""
        return dict(start=self.start, end=self.end)


@dataclass(frozen=True)
class Staircase:
    """Steps of equal height up to a maximum (method.md, section 3).

    Args:
        start: value at the beginning.
        increment: height of a step.
        every: length of a step, in iterations or epochs.
        maximum: largest value.
        by_epoch: count epochs instead of iterations.

    Raises:
        ValueError: if the maximum is below the start or a step has no length.
    """

    start: float
    increment: float
    every: int
    maximum: float
    by_epoch: bool = False

    def __post_init__(self) -> None:
        if not self.start <= self.maximum or self.every < 1:
            raise ConfigError(
                'Staircase',
                'start <= maximum and every >= 1',
                Words(f'start={self.start}, maximum={self.maximum}, every={self.every}'),
            )

    def at(self, position: Position, configured: float) -> float:
        """Compute the value at a position; see :class:`Schedule`."""
        steps = position.count(self.by_epoch) // self.every
        return min(self.start + self.increment * steps, self.maximum)

    def values(self) -> dict[str, float | None]:
        """Return the smallest and the largest value."""
        return dict(start=self.start, maximum=self.maximum)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine over the whole training (method.md, section 5).

    Args:
        start: value at the beginning.
        end: value at the end; None takes the value that the model's config gives.
    """

    start: float
    end: float | None = None

    def at(self, position: Position, configured: float) -> float:
        """Compute the value at a position; see :class:`Schedule`."""
        end = configured if self.end is None else self.end
        return end - (end - self.start) * (1 + math.cos(math.pi * position.share())) / 2

    def values(self) -> dict[str, float | None]:
        """Return both ends."""
        return dict(start=self.start, end=self.end)


KINDS = {kind.__name__: kind for kind in (Constant, Linear, Staircase, Cosine)}


def build_schedule(settings: Any, key: str) -> Schedule:
    """Build a schedule from a config.

    Args:
        settings: a number, which stands for :class:`Constant`; a pair ``(begin, until)``, which
            stands for :class:`Linear`; or a dictionary with the ``type`` and its arguments.
        key: dotted key of the config, for an error.

    Raises:
        ValueError: for anything else, or for wrong arguments.
    """
    if _is_number(settings):
        settings = dict(type='Constant', value=settings)
    elif isinstance(settings, list | tuple) and len(settings) == 2:
        settings = dict(type='Linear', begin=settings[0], until=settings[1])
    if not isinstance(settings, Mapping) or settings.get('type') not in KINDS:
        raise ConfigError(
            key,
            'a number, a pair (begin, until) or a dictionary whose type is one of '
            f'{", ".join(KINDS)}',
            settings,
        )

    arguments = dict(settings)
    kind = KINDS[arguments.pop('type')]
    known = [field.name for field in fields(kind)]
    unknown = sorted(arguments.keys() - set(known))
    if unknown:
        raise ConfigError(key, f'arguments of {kind.__name__} ({", ".join(known)})', unknown)
    missing = [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.name not in arguments
    ]
    if missing:
        raise ConfigError(key, f'the argument {missing[0]} of {kind.__name__}')
    for name, value in arguments.items():
        if name != 'by_epoch' and value is not None and not _is_number(value):
            raise ConfigError(f'{key}.{name}', 'a finite number', value)

    try:
        return kind(**arguments)
    except ConfigError as error:  # the schedule does not know its key
        raise ConfigError(key, error.expected, error.found) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
