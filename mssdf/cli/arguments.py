"""Checks of command-line values before any work."""

import math
from collections.abc import Sequence
from typing import Any

from mssdf.errors import UsageError


def expect_seeds(seeds: Sequence[int], option: str = '--seeds') -> None:
    """Check that seeds are not negative and all different, as each is one run.

    Raises:
        UsageError: if they are not.
    """
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f'{option}: expected different numbers from 0 on, found {list(seeds)}')


def expect_number(
    option: str,
    value: Any,
    least: float,
    most: float = math.inf,
    integer: bool = False,
    above: bool = False,
    note: str = '',
) -> None:
    """Check a finite number.

    Args:
        option: name of the option, for the message.
        value: value to check, of any type.
        least: smallest number.
        most: largest number.
        integer: whether the number must be an integer.
        above: whether the smallest number itself is too small.
        note: note on the range, for the message.

    Raises:
        UsageError: if it is not a number, or out of range.
    """
    kinds = int if integer else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= value <= most or (above and value == least):
        number = 'an integer' if integer else 'a number'
        bound = f'above {least}' if above else f'of at least {least}'
        limit = '' if most == math.inf else f' and at most {most}'
        raise UsageError(f'{option}: expected {number} {bound}{limit}{note}, found {value!r}')


def expect_device(device: str, option: str = '--device') -> None:
    """Check that torch can compute on a device.

    Raises:
        UsageError: if it cannot.
    """
    import torch

    try:
        found = torch.device(device)
        if found.type != 'cuda':
            torch.zeros(1, device=found).item()
        # GPUs are only counted, as using one would take memory that the trainings need.
        elif (found.index or 0) >= torch.cuda.device_count():
            raise RuntimeError(f'PyTorch sees {torch.cuda.device_count()} GPUs')
    # torch raises these for unknown names and backends, and for one without values (meta).
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f'{option}: expected a device of this machine such as cpu or cuda, found {device!r}: '
            f'{reason}'
        ) from None
