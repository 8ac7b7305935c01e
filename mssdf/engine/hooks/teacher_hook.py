"""The teacher's step (method.md, section 5)."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.distributed import unwrap
from mssdf.errors import ConfigError
from mssdf.registry import HOOKS


@HOOKS.register_module()
class TeacherHook(Hook):
    """A step of the teacher towards the student after every step of the optimizer.

    Its momentum is the model's, which :class:`.ScheduleHook` moves.

    Args:
        **settings: the momentum's ``start`` and ``end`` of earlier versions, refused.

    Raises:
        ValueError: for any setting, with its place today.
    """

    priority = 'NORMAL'

    def __init__(self, **settings: Any) -> None:
        for name, value in settings.items():
            raise ConfigError(
                f'default_hooks.teacher.{name}',
                f'default_hooks.schedules.teacher.momentum.{name} in its place',
                value,
            )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Move the teacher, unless gradients are still being accumulated."""
        if runner.optim_wrapper.should_update():
            unwrap(runner.model).update_teacher()
