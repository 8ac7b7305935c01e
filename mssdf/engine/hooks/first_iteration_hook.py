"""Notice of the start of training."""

from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook


class FirstIterationHook(Hook):
    """A hook that calls a function before each iteration.

    Args:
        tell: function without arguments.
    """

    priority = 'VERY_HIGH'

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Call the function."""
        self.tell()
