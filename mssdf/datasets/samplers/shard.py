"""An order that shuffles well and yet reads few shards at a time."""

from collections.abc import Sized
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.errors import ConfigError, Words
from mssdf.registry import DATA_SAMPLERS

from .resumable import ResumableSampler


@DATA_SAMPLERS.register_module()
class ShardSampler(ResumableSampler):
    """Indices of one epoch from many streams, each of which reads its shards one after the other.

    The shards are permuted and their windows laid end to end. That sequence is cut into ``streams``
    parts of equal length. Within each, windows are shuffled among the next ``buffer`` shards'
    worth. Position p of the epoch comes from stream p mod ``streams``, so that neighbors come
    from different shards. The order depends on the seed and the epoch alone, and is
    dealt to the ranks by :class:`~mssdf.distributed.Ranks`. Where ``streams`` is a multiple of the
    number of ranks, a rank reads its own streams only, hence its own share of the shards.

    The same number is taken of each stream: fewer than ``streams`` windows of an epoch are left
    out, others in each epoch (with ``round_up`` the first ones are repeated instead).

    Args:
        dataset: dataset with ``chunk_sizes``, the number of windows of each shard, such as
            ``mssdf.ShardDataset``.
        shuffle: else in order.
        seed: None agrees on one among the ranks.
        round_up: whether the first samples are repeated so that all ranks get the same number.
        streams: number of streams that are interleaved; at most as many as there are shards.
        buffer: shards among whose windows a stream shuffles.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = False,
        streams: int = 64,
        buffer: float = 4,
    ) -> None:
        for key, value in (('streams', streams), ('buffer', buffer)):
            if value < 1:
                raise ConfigError(key, 'at least 1', value)
        if not hasattr(dataset, 'chunk_sizes'):
            raise ConfigError(
                'sampler', 'a dataset of shards (mssdf.ShardDataset)', Words(type(dataset).__name__)
            )

        self.chunk_sizes: NDArray[np.int64] = np.asarray(dataset.chunk_sizes)
        self.streams = min(streams, len(self.chunk_sizes)) if shuffle else 1
        self.buffer = buffer
        super().__init__(dataset, shuffle, seed, round_up)
        if shuffle and self.streams % self.ranks.world_size:
            print_log(
                f'sampler.streams: {self.streams} is no multiple of the '
                f'{self.ranks.world_size} ranks, '
                f'so that each reads all shards',
                logger='current',
                level=30,
            )

    def _count(self) -> int:
        size = len(self.dataset)
        each = -(-size // self.streams) if self.round_up else size // self.streams
        return each * self.streams

    def _order(self) -> NDArray[np.int64]:
        if not self.shuffle:
            return super()._order()
        rng = np.random.default_rng([self.seed, self.epoch])
        ends = np.cumsum(self.chunk_sizes)
        chunks = rng.permutation(len(ends))
        sizes = self.chunk_sizes[chunks]
        # Windows of the permuted shards, end to end: each shard's first index, counted on.
        within = np.arange(ends[-1]) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        sequence = np.repeat((ends - self.chunk_sizes)[chunks], sizes) + within
        sequence = np.resize(sequence, self._count()).reshape(self.streams, -1)
        length = sequence.shape[1]
        block = max(1, round(self.buffer * ends[-1] / len(ends)))
        # Sorting random keys within blocks shuffles each block by itself.
        keys = rng.random(sequence.shape) + np.arange(length) // block
        shuffled = np.take_along_axis(sequence, np.argsort(keys, axis=1, kind='stable'), axis=1)
        return shuffled.T.reshape(-1)

    def __repr__(self) -> str:
        settings: dict[str, Any] = dict(streams=self.streams, buffer=self.buffer)
        return f'{type(self).__name__}({settings})'
