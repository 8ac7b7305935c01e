"""A training loop that goes on inside an epoch as if it had never stopped."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

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
        batches: the batch sampler.
        first: how many it leaves out.
    """

    def __init__(self, batches: Iterable[list], first: int) -> None:
        self.batches = batches
        self.first = first

    def __iter__(self) -> Iterator[list]:
        return islice(iter(self.batches), self.first, None)


def without_first(loader: Any, first: int) -> Any:
    """The same loader, copied, but for its first batches, which are not read."""
    wait = getattr(loader, 'wait', None)
    loader = getattr(loader, 'loader', loader)
    settings = {name: getattr(loader, name) for name in SETTINGS if name != 'persistent_workers'}
    rest = DataLoader(loader.dataset, batch_sampler=_Rest(loader.batch_sampler, first), **settings)
    return rest if wait is None else WaitedLoader(rest, wait)


@LOOPS.register_module()
class ResumableEpochTrainLoop(EpochBasedTrainLoop):
    """Epochs, resumable at any iteration, that can be interrupted without losing one.

    A checkpoint made inside an epoch is continued there: the sampler skips what was seen, nothing
    of it is read again. The order must follow from the seed and the epoch's number, as it does
    with MMEngine's ``DefaultSampler``; with ``mssdf.ResumableSampler`` what is random about each
    sample follows from them as well. It always has an :class:`~mssdf.engine.InterruptionHook`.

    Args:
        runner: the runner.
        dataloader: of a fixed number of batches an epoch.
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
        if max_epochs < 1:
            raise ValueError(f'train_cfg.max_epochs: expected 1 or more, found {max_epochs}')
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
        """The batches of this epoch from the ``first`` on; nothing before it is read."""
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'set_start'):
            sampler = getattr(self.dataloader.batch_sampler, 'sampler', None)
        if not first:
            return iter(self.dataloader)
        if hasattr(sampler, 'set_start'):
            sampler.set_start(first * self.dataloader.batch_sampler.batch_size)
            return iter(self.dataloader)
        # any other sampler that draws an epoch from its number: what it drew is left out
        return iter(without_first(self.dataloader, first))

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
