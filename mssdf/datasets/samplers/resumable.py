"""A sampler whose order is a function of the seed and the epoch, and that can begin in it."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import sync_random_seed
from numpy.typing import NDArray
from torch.utils.data import Sampler

from mssdf.distributed import rank_and_world_size
from mssdf.errors import ConfigError, Words
from mssdf.registry import DATA_SAMPLERS

from ..sample_index import SampleIndex


@DATA_SAMPLERS.register_module()
class ResumableSampler(Sampler[SampleIndex]):
    """Indices of one epoch, dealt to the ranks by :class:`~mssdf.distributed.Ranks`.

    Every rank gets the same number, so that no process waits for another at the end of an epoch.

    Args:
        dataset: its length counts.
        shuffle: permute, by (seed, epoch) alone; else in order.
        seed: None agrees on one among the ranks.
        round_up: fill up with indices from the epoch's beginning until the ranks are even; else
            leave out the last ones.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = False,
    ) -> None:
        self.ranks = rank_and_world_size()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.start = 0
        self.round_up = round_up
        count, ranks = self._count(), self.ranks.world_size
        self.num_samples = -(-count // ranks) if round_up else count // ranks
        if self.num_samples == 0:
            raise ConfigError(
                'dataset',
                f'at least one sample per rank ({ranks})',
                Words(f'{len(dataset)} samples'),
            )

    def __iter__(self) -> Iterator[SampleIndex]:
        start, self.start = self.start, 0
        # Repeats (round_up) or cuts, so that each rank has num_samples.
        even = np.resize(self._order(), self.num_samples * self.ranks.world_size)
        mine = self.ranks.share(even)
        epoch = self.epoch
        return (SampleIndex(int(index), epoch) for index in mine[start:])

    def _count(self) -> int:
        """Compute the length of the order."""
        return len(self.dataset)

    def _order(self) -> NDArray[np.int64]:
        """Return all ranks' indices of the epoch."""
        size = len(self.dataset)
        if not self.shuffle:
            return np.arange(size)
        return np.random.default_rng([self.seed, self.epoch]).permutation(size)

    def __len__(self) -> int:
        """Count the samples of a full epoch on this rank, wherever the next one begins."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration, and what is random about its samples."""
        self.epoch = epoch

    def set_start(self, num_samples: int) -> None:
        """Let the next iteration, and only it, leave out the first samples of this rank.

        Args:
            num_samples: number of samples consumed before an interruption.
        """
        if not 0 <= num_samples <= self.num_samples:
            raise ValueError(
                f'expected 0 … {self.num_samples} consumed samples, found {num_samples}'
            )
        self.start = num_samples
