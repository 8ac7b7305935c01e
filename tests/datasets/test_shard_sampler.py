"""The order of shards: a permutation, resumable, local and shuffled."""

import numpy as np
import pytest

from mssdf.datasets import SampleIndex, ShardSampler
from mssdf.datasets.samplers import resumable
from mssdf.distributed import Ranks


class Shards:
    """As many windows as a dataset of shards says it has."""

    def __init__(self, sizes):
        self.chunk_sizes = np.array(sizes)

    def __len__(self):
        return int(self.chunk_sizes.sum())


def make(count=200, seed=0):
    return Shards(np.random.default_rng(seed).integers(16, 65, size=count))


def on_rank(monkeypatch, rank, world, dataset, **options):
    monkeypatch.setattr(resumable, 'rank_and_world_size', lambda: Ranks(rank, world))
    return ShardSampler(dataset, seed=5, **options)


def indices(sampler):
    return np.array([sample.index for sample in sampler])


def shards_of(dataset, order):
    return np.searchsorted(np.cumsum(dataset.chunk_sizes), order, side='right')


def by_hand(dataset, seed, epoch, streams, buffer):
    """The same order, one window after the other."""
    rng = np.random.default_rng([seed, epoch])
    sizes = dataset.chunk_sizes.tolist()
    firsts = [sum(sizes[:i]) for i in range(len(sizes))]
    laid = [firsts[c] + i for c in rng.permutation(len(sizes)) for i in range(sizes[c])]
    length = len(laid) // streams
    block = round(buffer * len(laid) / len(sizes))
    keys = rng.random((streams, length))
    result = []
    for s in range(streams):
        stream, u = laid[s * length : (s + 1) * length], keys[s]
        parts = [range(i, min(i + block, length)) for i in range(0, length, block)]
        result.append([stream[i] for part in parts for i in sorted(part, key=lambda i: u[i])])
    return [window for step in zip(*result, strict=True) for window in step]


@pytest.mark.parametrize(('streams', 'buffer'), [(1, 1), (7, 2), (16, 4), (64, 1.5)])
def test_against_a_loop(streams, buffer):
    dataset = make(80)
    sampler = ShardSampler(dataset, seed=3, streams=streams, buffer=buffer)
    sampler.set_epoch(2)
    order = list(sampler)
    assert [s.index for s in order] == by_hand(dataset, 3, 2, streams, buffer)
    assert all(isinstance(s, SampleIndex) and s.epoch == 2 for s in order)


@pytest.mark.parametrize('world', [1, 2, 3, 16])
def test_every_window_once_but_for_a_remainder(monkeypatch, world):
    dataset = make()
    size, streams = len(dataset), 64
    parts = [indices(on_rank(monkeypatch, r, world, dataset)) for r in range(world)]
    assert len({len(part) for part in parts}) == 1
    taken = np.concatenate(parts)
    assert len(np.unique(taken)) == len(taken)
    assert size - len(taken) < streams + (world if streams % world else 0)
    rounded = [
        indices(on_rank(monkeypatch, r, world, dataset, round_up=True)) for r in range(world)
    ]
    assert len({len(part) for part in rounded}) == 1
    assert len(np.unique(np.concatenate(rounded))) == size
    # the interleaved ranks are the one order, whatever their number
    alone = indices(on_rank(monkeypatch, 0, 1, dataset))
    merged = np.stack(parts, axis=1).reshape(-1)
    np.testing.assert_array_equal(merged, alone[: len(merged)])


def test_what_is_left_out_differs_by_epoch():
    dataset = make()
    sampler = ShardSampler(dataset, seed=0)
    left = []
    for epoch in range(8):
        sampler.set_epoch(epoch)
        left.append(frozenset(range(len(dataset))) - set(indices(sampler).tolist()))
    assert all(len(each) == len(dataset) % 64 for each in left)
    assert len(set(left)) > 1


def test_a_function_of_seed_and_epoch():
    dataset = make()
    first = indices(ShardSampler(dataset, seed=1))
    np.random.seed(0)
    sampler = ShardSampler(dataset, seed=1)
    np.testing.assert_array_equal(indices(sampler), first)
    sampler.set_epoch(1)
    assert np.mean(indices(sampler) == first) < 0.01
    assert np.mean(indices(ShardSampler(dataset, seed=2)) == first) < 0.01


def test_resuming_anywhere_and_on_another_number_of_ranks(monkeypatch):
    dataset = make(90)
    whole = indices(on_rank(monkeypatch, 0, 1, dataset))
    rng = np.random.default_rng(0)
    for before, after in ((1, 1), (2, 8), (8, 2), (4, 1), (1, 16), (3, 5)):
        done = int(rng.integers(1, len(whole) // before))
        rest = done * before // after  # on each of the new ranks
        seen = []
        for rank in range(before):
            sampler = on_rank(monkeypatch, rank, before, dataset)
            seen.append(indices(sampler)[:done])
        for rank in range(after):
            sampler = on_rank(monkeypatch, rank, after, dataset)
            full = indices(sampler)
            sampler.set_start(rest)
            resumed = indices(sampler)
            np.testing.assert_array_equal(resumed, full[rest:])
            np.testing.assert_array_equal(resumed, whole[rank::after][rest : len(full)])
            np.testing.assert_array_equal(indices(sampler), full)  # once only
            seen.append(resumed)
        if done * before % after == 0:  # nothing lost, nothing twice
            together = np.concatenate(seen)
            assert len(np.unique(together)) == len(together)
            assert len(whole) - len(together) < after + before
    with pytest.raises(ValueError, match='consumed samples'):
        sampler.set_start(len(whole) + 1)


def test_a_rank_reads_few_shards_at_a_time_and_its_own(monkeypatch):
    dataset, world, streams, buffer = make(2000), 8, 64, 4
    mine = [
        shards_of(dataset, indices(on_rank(monkeypatch, r, world, dataset))) for r in range(world)
    ]
    # Streams end within shards: only those few are read by two ranks.
    shared = sum(len(np.unique(m)) for m in mine) - 2000
    assert 0 <= shared <= streams
    # A stream moves on from buffer to buffer.
    own = mine[0].reshape(-1, streams // world)
    for start in range(0, len(own) - 200, 200):
        among = [len(np.unique(own[start : start + 100, s])) for s in range(streams // world)]
        assert max(among) <= 2 * (2 * buffer + 2)  # two buffers, of unequal shards
    # Against any order of a plain permutation, which has them all open at once.
    window = mine[0][1000 : 1000 + 64 * 4]
    plain = np.random.default_rng(0).choice(np.repeat(np.arange(2000), dataset.chunk_sizes), 256)
    assert len(np.unique(window)) < 0.5 * len(np.unique(plain))


def test_it_shuffles():
    """Neighbors come from far apart; the order goes with nothing."""
    dataset = make(1000)
    order = indices(ShardSampler(dataset, seed=0))
    shards = shards_of(dataset, order)
    assert (shards[1:] == shards[:-1]).mean() < 0.001
    # In a batch of 64 hardly any two windows share a shard.
    batches = shards[: len(shards) // 64 * 64].reshape(-1, 64)
    distinct = np.array([len(np.unique(batch)) for batch in batches])
    assert distinct.mean() > 63
    # An index says nothing about its position (ranks' correlation) nor about the next one.
    n = len(order)
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 4 / np.sqrt(n) * 8  # shards move as one
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.1
    # Within a stream, windows of a shard come neither in order nor one after the other.
    stream = order[::64]
    steps = np.diff(stream)
    assert (steps == 1).mean() < 0.03
    assert (np.diff(shards[::64]) == 0).mean() < 0.5


def test_few_shards_and_wrong_settings(monkeypatch):
    assert ShardSampler(make(3), seed=0).streams == 3
    ordered = ShardSampler(make(3), shuffle=False, seed=0)
    assert indices(ordered).tolist() == list(range(len(make(3))))
    for options in (dict(streams=0), dict(buffer=0.5)):
        with pytest.raises(ValueError, match='expected at least 1'):
            ShardSampler(make(3), seed=0, **options)
    with pytest.raises(ValueError, match=r'expected a dataset of shards.*found range'):
        ShardSampler(range(5), seed=0)
    with pytest.raises(ValueError, match='at least one sample per rank'):
        on_rank(monkeypatch, 0, 4, Shards([2]))
