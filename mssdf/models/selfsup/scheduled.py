"""Values of the model that change along with training (method.md, sections 3, 5 and 6)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from .teacher import MOMENTUM, EMATeacher


@dataclass(frozen=True)
class Scheduled:
    """A value of a model that a schedule may move.

    Attributes:
        assign: function that takes the value of the next iteration.
        configured: value that the model's config gives.
        least: smallest value allowed.
        most: largest value allowed.
        log_name: name under which the value is logged; None does not log it.
        used: whether the model makes use of the value; a schedule of another one rests.
    """

    assign: Callable[[float], None]
    configured: float
    least: float = 0.0
    most: float = 1.0
    log_name: str | None = None
    used: bool = True


def scheduled_values(
    weights: dict[str, float],
    configured: dict[str, float],
    preprocessor: Any,
    teacher: EMATeacher | None,
) -> dict[str, Scheduled]:
    """List the values of MSSDF that a schedule may move.

    Args:
        weights: weight of each loss term in this iteration, to be changed.
        configured: weight of each loss term in the config.
        preprocessor: data preprocessor, which masks.
        teacher: teacher of the model; None without L_rec.

    Returns:
        ``losses.NAME``, ``masking.p`` and ``teacher.momentum``.
    """
    found = {
        f'losses.{name}': Scheduled(
            partial(weights.__setitem__, name),
            configured=weight,
            most=math.inf if weight else 0.0,  # what is not built can weigh nothing
            used=weight > 0,
        )
        for name, weight in configured.items()
    }

    found['masking.p'] = Scheduled(
        partial(setattr, preprocessor, 'cross_modal_ratio'),
        configured=preprocessor.cross_modal_ratio,
        log_name='p_cross',
        used=preprocessor.target is not None,
    )

    found['teacher.momentum'] = Scheduled(
        partial(setattr, teacher, 'momentum'),
        configured=MOMENTUM,
        log_name='momentum',
        used=teacher is not None,
    )
    return found
