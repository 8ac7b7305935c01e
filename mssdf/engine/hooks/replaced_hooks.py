"""Hooks of earlier versions, each with the name of what replaces it."""

from typing import Any

from mmengine.hooks import Hook

from mssdf.errors import ConfigError, Words
from mssdf.registry import HOOKS


class ReplacedHook(Hook):
    """A hook that is gone.

    Raises:
        ValueError: always, with what a config writes instead.
    """

    replacement = ''

    def __init__(self, **settings: Any) -> None:
        # a hook does not know its key in the config
        name = f'hook {type(self).__name__}'
        raise ConfigError(name, self.replacement, Words('a hook of earlier versions'))


@HOOKS.register_module()
class ProgressHook(ReplacedHook):
    """A hook that is gone: the model's iteration comes from :class:`.ScheduleHook`."""

    replacement = "default_hooks.schedules=dict(type='mssdf.ScheduleHook')"


@HOOKS.register_module()
class CrossModalMaskingHook(ReplacedHook):
    """A hook that is gone: p is a value of :class:`.ScheduleHook`."""

    replacement = (
        "default_hooks.schedules=dict(type='mssdf.ScheduleHook', masking=dict(p=dict("
        "type='Staircase', start=…, increment=…, every=…, maximum=…, by_epoch=True)))"
    )


@HOOKS.register_module()
class TeacherMomentumHook(ReplacedHook):
    """A hook that is gone: the momentum is a value of :class:`.ScheduleHook`."""

    replacement = (
        "default_hooks.teacher=dict(type='mssdf.TeacherHook') and default_hooks.schedules=dict("
        "type='mssdf.ScheduleHook', teacher=dict(momentum=dict(type='Cosine', start=…, end=…)))"
    )
