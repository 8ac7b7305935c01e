"""Training loop that resumes inside an epoch without repeating or skipping a sample."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mssdf.errors import ConfigError, Words
from mssdf.models.losses import NonFiniteLossError
from mssdf.registry import LOOPS

from .batch_wait import WaitedLoader
from .hooks.interruption_hook import require_interruption_hook
from .seeded_loader import SETTINGS

POSITION = 'position_in_epoch'
SKIPPED = 'skipped_steps'


class _Rest:
    """A batch sampler without its first batches.

    Args:
        batches: batch sampler.
        first: number of batches that are left out.
    """

    def __init__(self, batches: Iterable[list], first: int) -> None:
        self.batches = batches
        self.first = first

    def __iter__(self) -> Iterator[list]:
        return islice(iter(self.batches), self.first, None)


def without_first(loader: Any, first: int) -> Any:
    """Copy a data loader without its first batches, which are not read."""
    wait = getattr(loader, 'wait', None)
    loader = getattr(loader, 'loader', loader)
    settings = {name: getattr(loader, name) for name in SETTINGS if name != 'persistent_workers'}
    rest = DataLoader(loader.dataset, batch_sampler=_Rest(loader.batch_sampler, first), **settings)
    return rest if wait is None else WaitedLoader(rest, wait)


@LOOPS.register_module()
class ResumableEpochTrainLoop(EpochBasedTrainLoop):
    """An epoch-based training loop that can be interrupted and resumed at any iteration.

    A checkpoint from inside an epoch is resumed there: the sampler skips the samples that were seen
    without reading them. The order must follow from the seed and the number of the epoch, as it
    does with MMEngine's ``DefaultSampler``; with ``mssdf.ResumableSampler`` the random draws of
    each sample follow from them as well. The loop always has an
    :class:`~mssdf.engine.InterruptionHook`.

    Args:
        runner: runner of the training.
        dataloader: data loader with a fixed number of batches per epoch.
        max_epochs: number of epochs.
        max_skipped_steps: number of iterations in the whole run whose loss may be NaN or infinite;
            each is skipped with a warning, and one more stops the run.
        **kwargs: arguments for :class:`mmengine.runner.EpochBasedTrainLoop`.
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
        if max_epochs < 1:
            raise ConfigError('train_cfg.max_epochs', '1 or more', max_epochs)
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        if max_skipped_steps < 0:
            raise ConfigError('train_cfg.max_skipped_steps', '0 or more', max_skipped_steps)
        self.max_skipped_steps = max_skipped_steps
        self._first = 0

    def run(self) -> nn.Module:
        """Train, and restore the signal handlers at the end."""
        self._first = self._resumed_position()
        hook = require_interruption_hook(self.runner)
        try:
            return super().run()
        finally:
            hook.leave()

    def _resumed_position(self) -> int:
        """Return the number of iterations of this epoch that the checkpoint has completed."""
        length = len(self.dataloader)
        infos = self.runner.message_hub.runtime_info
        if self._iter == 0:
            return 0
        if POSITION in infos:
            done, of = infos[POSITION]
        else:  # the checkpoint comes from another loop
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
        """Return this epoch's batches from ``first`` on; earlier ones are not read."""
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'set_start'):
            sampler = getattr(self.dataloader.batch_sampler, 'sampler', None)
        if not first:
            return iter(self.dataloader)
        if hasattr(sampler, 'set_start'):
            sampler.set_start(first * self.dataloader.batch_sampler.batch_size)
            return iter(self.dataloader)
        # Any other sampler draws the whole epoch from its number; the first batches are left out.
        return iter(without_first(self.dataloader, first))

    def _next(self, batches: Iterator[Any]) -> Any:
        """Wait for a batch."""
        try:
            return next(batches)
        except StopIteration:
            raise ConfigError(
                'train_dataloader', f'{len(self.dataloader)} batches', Words('fewer')
            ) from None

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Run one iteration.

        Raises:
            NonFiniteLossError: if the loss is not finite and no more steps may be skipped.
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
        """Skip a step whose loss is not finite, or raise the error at the limit."""
        hub, optim_wrapper = self.runner.message_hub, self.runner.optim_wrapper
        skipped = hub.runtime_info.get(SKIPPED, 0) + 1
        message = f'iteration {self._iter + 1}: {error}'
        if skipped > self.max_skipped_steps:
            error.args = (message,)
            raise error
        hub.update_info(SKIPPED, skipped)
        optim_wrapper.zero_grad()
        optim_wrapper._inner_count += 1  # a skipped iteration counts too
        print_log(
            f'{message}. Step skipped, {skipped} of at most {self.max_skipped_steps}.',
            logger='current',
            level=logging.WARNING,
        )
