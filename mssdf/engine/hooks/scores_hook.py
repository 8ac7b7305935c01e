"""Notice of the scores of a test."""

from collections.abc import Callable
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner


class ScoresHook(Hook):
    """A hook that passes on the scores of a test before other hooks draw and write.

    Those may fail, and the scores would be lost.

    Args:
        tell: function that takes the scores by name; the main process calls it.
    """

    priority = 'VERY_HIGH'

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self.tell = tell

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Pass on the scores."""
        if is_main_process():
            self.tell(dict(metrics or {}))
