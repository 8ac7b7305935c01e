"""Values of a model that change along with training."""

from collections.abc import Callable
from dataclasses import dataclass


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
