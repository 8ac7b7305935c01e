"""The exponential moving average of parameters (method.md, section 5)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from mssdf.errors import ConfigError


@torch.no_grad()
def update_ema(teacher: Iterable[Tensor], student: Iterable[Tensor], momentum: float) -> None:
    """Move the teacher towards the student in place: t <- m * t + (1 - m) * s.

    Args:
        teacher: parameters to change.
        student: parameters of the same shapes, in the same order.
        momentum: share m of the teacher that stays, 0...1.

    Raises:
        ValueError: if the momentum is outside 0...1.
    """
    if not 0.0 <= momentum <= 1.0:
        raise ConfigError('momentum', 'a number within 0...1', momentum)
    teacher = list(teacher)
    if teacher:
        torch._foreach_lerp_(teacher, list(student), 1.0 - momentum)
