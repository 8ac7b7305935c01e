"""A training loop that goes on inside an epoch as if it had never stopped."""

import logging
from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader, Sampler

from mssdf.models.losses import NonFiniteLossError
from mssdf.registry import LOOPS

from .hooks.interruption_hook import require_interruption_hook

POSITION = 'position_in_epoch'
SKIPPED = 'skipped_steps'


@LOOPS.register_module()
class ResumableEpochTrainLoop(EpochBasedTrainLoop):
    """Epochs, resumable at any iteration, that can be interrupted without losing one.

    A checkpoint made inside an epoch is continued there: the sampler skips what was seen, nothing
    of it is read again. It always has an :class:`~mssdf.engine.InterruptionHook`.

    Args:
        runner: the runner.
        dataloader: with a sampler that has ``set_start``, such as ``mssdf.ResumableSampler``.
        max_epochs: number of epochs.
        max_skipped_steps: iterations of the whole run whose loss may be NaN or infinite; they are
            skipped with a warning, the next one stops the run.
        **kwargs: see :class:`mmengine.runner.EpochBasedTrainLoop`.
    """

    _iter: int
    _epoch: int

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        max_skipped_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        if max_skipped_steps < 0:
            raise ValueError(
                f'train_cfg.max_skipped_steps: expected 0 or more, found {max_skipped_steps}'
            )
        self.max_skipped_steps = max_skipped_steps
        self._first = 0

    def run(self) -> nn.Module:
        """Train."""
        self._first = self._resumed_position()
        hook = require_interruption_hook(self.runner)
        try:
            return super().run()
        finally:
            hook.leave()

    def _resumed_position(self) -> int:
        """Iterations of the current epoch that the loaded checkpoint has behind it."""
        length = len(self.dataloader)
        infos = self.runner.message_hub.runtime_info
        if self._iter == 0:
            return 0
        if POSITION in infos:
            done, of = infos[POSITION]
        else:  # a checkpoint of another loop
            done, of = max(self._iter - self._epoch * length, 0), length
        position = min(done if of == length else done * length // of, length)
        expected = self._epoch * length + position
        if expected != self._iter:
            print_log(
                f'The checkpoint was made with epochs of another length: its iteration '
                f'{self._iter} is now counted as {expected}.',
                logger='current',
                level=logging.WARNING,
            )
            self._iter = expected
        return position

    def run_epoch(self) -> None:
        """Run one epoch, or what is left of it."""
        hub = self.runner.message_hub
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        length, first = len(self.dataloader), self._first
        self._first = 0
        batches = self._batches(first) if first < length else iter(())
        for index in range(first, length):
            self.run_iter(index, self._next(batches))
        hub.update_info(POSITION, (0, length))
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _batches(self, first: int) -> Iterator[Any]:
        if first:
            sampler, batch_size = self._sampler()
            sampler.set_start(first * batch_size)  # type: ignore[attr-defined]
        return iter(self.dataloader)

    def _sampler(self) -> tuple[Sampler, int]:
        """The sampler that knows how to skip, and the samples of a batch."""
        for sampler in (self.dataloader.sampler, self.dataloader.batch_sampler.sampler):
            if hasattr(sampler, 'set_start'):
                return sampler, self.dataloader.batch_sampler.batch_size
        raise ValueError(
            'train_dataloader.sampler: resuming inside an epoch needs a sampler with set_start '
            f'(mssdf.ResumableSampler), found {type(self.dataloader.sampler).__name__}'
        )

    def _next(self, batches: Iterator[Any]) -> Any:
        """Wait for a batch."""
        try:
            return next(batches)
        except StopIteration:
            raise ValueError(
                f'train_dataloader: expected {len(self.dataloader)} batches, found fewer'
            ) from None

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Run one iteration.

        Raises:
            NonFiniteLossError: with the iteration, if no more steps may be skipped.
        """
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        try:
            outputs = self.runner.model.train_step(
                data_batch, optim_wrapper=self.runner.optim_wrapper
            )
        except NonFiniteLossError as error:
            self._skip(error)
            outputs = None
        self.runner.message_hub.update_info(POSITION, (idx + 1, len(self.dataloader)))
        self.runner.call_hook(
            'after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1

    def _skip(self, error: NonFiniteLossError) -> None:
        """Leave the step out, or give up."""
        hub, optim_wrapper = self.runner.message_hub, self.runner.optim_wrapper
        skipped = hub.runtime_info.get(SKIPPED, 0) + 1
        message = f'iteration {self._iter + 1}: {error}'
        if skipped > self.max_skipped_steps:
            error.args = (message,)
            raise error
        hub.update_info(SKIPPED, skipped)
        optim_wrapper.zero_grad()
        optim_wrapper._inner_count += 1  # the iteration counts, also where steps are accumulated
        print_log(
            f'{message}. Step skipped, {skipped} of at most {self.max_skipped_steps}.',
            logger='current',
            level=logging.WARNING,
        )
