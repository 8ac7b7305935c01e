"""Scheduled values of the model: loss weights, cross-modal masking, the teacher's momentum."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.distributed import unwrap
from mssdf.errors import ConfigError
from mssdf.models.selfsup.scheduled import Scheduled
from mssdf.registry import HOOKS

from ..schedules import Position, Schedule, build_schedule


@HOOKS.register_module()
class ScheduleHook(Hook):
    """A driver of values that change along with training (method.md, sections 3, 5 and 6).

    It tells the model its iteration, too. A schedule of a value that the model makes no use of
    (p without a target modality, the momentum without a teacher) rests.

    Args:
        **targets: schedules by the name of what they move, nested or dotted:
            ``losses=dict(rec=(0, 1000))`` or ``**{'losses.rec': (0, 1000)}``. Names are those of
            the model's ``scheduled()``: for :class:`~mssdf.models.MSSDF` ``losses.NAME``,
            ``masking.p`` and ``teacher.momentum``. For a schedule see
            :func:`~mssdf.engine.schedules.build_schedule`; None removes one that a base config
            gives.

    Raises:
        ValueError: for a wrong schedule.
    """

    priority = 'HIGH'

    def __init__(self, **targets: Any) -> None:
        self.schedules: dict[str, Schedule] = {
            name: build_schedule(settings, f'schedules.{name}')
            for name, settings in _flatten(targets)
        }
        self._targets: dict[str, Scheduled] | None = None

    def before_run(self, runner: Runner) -> None:
        """Hold the schedules against the model before any data are read."""
        self._targets = self._find(unwrap(runner.model))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set and log the values of this iteration."""
        model = unwrap(runner.model)
        if self._targets is None:  # run without a runner's hook points
            self._targets = self._find(model)

        model.iteration = runner.iter
        position = Position(runner.iter, runner.epoch, runner.max_iters)
        for name, target in self._targets.items():
            value = self.schedules[name].at(position, target.configured)
            target.assign(value)
            if target.log_name:
                runner.message_hub.update_scalar(f'train/{target.log_name}', value)

    def _find(self, model: Any) -> dict[str, Scheduled]:
        """Find the model's values that have a schedule and are in use.

        Raises:
            ValueError: if the model has no such value, or a schedule leaves its range.
        """
        known: dict[str, Scheduled] = getattr(model, 'scheduled', dict)()
        unknown = sorted(self.schedules.keys() - known.keys())
        if unknown:
            raise ConfigError(
                f'schedules.{unknown[0]}',
                f'one of {", ".join(known) or "none"} for {type(model).__name__}',
                unknown[0],
            )

        for name, schedule in self.schedules.items():
            target = known[name]
            for argument, value in schedule.values().items():
                if value is not None and not target.least <= value <= target.most:
                    raise ConfigError(
                        f'schedules.{name}.{argument}',
                        f'a number within {target.least:g}...{target.most:g}',
                        value,
                    )
        return {name: known[name] for name in self.schedules if known[name].used}


def _flatten(node: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the settings of each schedule."""
    for key, value in node.items():
        name = f'{prefix}{key}'
        if isinstance(value, Mapping) and 'type' not in value:
            yield from _flatten(value, f'{name}.')
        elif value is not None:
            yield name, value
