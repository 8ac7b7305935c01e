"""Telling that training has begun."""

from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook


class FirstIterationHook(Hook):
    """Call a function before each iteration.

    Args:
        tell: takes nothing.
    """

    priority = 'VERY_HIGH'

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """An iteration begins."""
        self.tell()
