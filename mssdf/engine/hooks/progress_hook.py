"""Hooks that move the model along with training: ramps, cross-modal masking, teacher."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.distributed import unwrap
from mssdf.registry import HOOKS

from ..schedules import cosine, staircase


@HOOKS.register_module()
class ProgressHook(Hook):
    """Tell the model its iteration, from which loss ramps and the feature monitor follow."""

    priority = 'HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the iteration."""
        unwrap(runner.model).set_progress(runner.iter, runner.max_iters)


@HOOKS.register_module()
class CrossModalMaskingHook(Hook):
    """Raise the probability p of cross-modal masking in steps (method.md, section 3).

    p stays 0 if the data preprocessor has no target modality.

    Args:
        start: p at the beginning.
        increment: added at each step.
        every: length of a step, in epochs or iterations.
        maximum: largest p.
        by_epoch: count epochs, else iterations.

    Raises:
        ValueError: if p leaves 0...1 or a step has no length.
    """

    priority = 'HIGH'

    def __init__(
        self,
        start: float = 0.1,
        increment: float = 0.1,
        every: int = 10,
        maximum: float = 0.7,
        by_epoch: bool = True,
    ) -> None:
        if not 0 <= start <= maximum <= 1 or every < 1:
            raise ValueError(
                'CrossModalMaskingHook: expected 0 <= start <= maximum <= 1 and every >= 1, '
                f'found start={start}, maximum={maximum}, every={every}'
            )
        self.start = start
        self.increment = increment
        self.every = every
        self.maximum = maximum
        self.by_epoch = by_epoch

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set p for this iteration and log it."""
        position = runner.epoch if self.by_epoch else runner.iter
        preprocessor: Any = unwrap(runner.model).data_preprocessor
        if preprocessor.target is None:
            return
        ratio = staircase(position, self.start, self.increment, self.every, self.maximum)
        preprocessor.cross_modal_ratio = ratio
        runner.message_hub.update_scalar('train/p_cross', ratio)


@HOOKS.register_module()
class TeacherMomentumHook(Hook):
    """Update the teacher after every optimizer step (method.md, section 5).

    Args:
        start: momentum at the beginning.
        end: momentum at the end, reached along half a cosine; equal to ``start``: constant.

    Raises:
        ValueError: if a momentum is outside 0...1.
    """

    priority = 'NORMAL'

    def __init__(self, start: float = 0.996, end: float = 1.0) -> None:
        if not (0 <= start <= 1 and 0 <= end <= 1):
            raise ValueError(
                'default_hooks.teacher: expected start and end within 0...1, found '
                f'{start} and {end}'
            )
        self.start = start
        self.end = end

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Move the teacher, unless gradients are still being accumulated."""
        if unwrap(runner.model).teacher is None or not runner.optim_wrapper.should_update():
            return
        momentum = cosine(runner.iter, runner.max_iters, self.start, self.end)
        unwrap(runner.model).update_teacher(momentum)
        runner.message_hub.update_scalar('train/momentum', momentum)
