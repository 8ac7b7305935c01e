import numpy as np
import pytest

from mssdf.datasets import ResumableSampler, SampleIndex
from mssdf.datasets.samplers import resumable
from mssdf.distributed import Ranks


def indices(sampler):
    return [sample.index for sample in sampler]


def test_a_permutation_by_seed_and_epoch():
    sampler = ResumableSampler(range(50), seed=3)
    first = list(sampler)
    assert all(isinstance(s, SampleIndex) and s.epoch == 0 for s in first)
    assert sorted(s.index for s in first) == list(range(50)) and len(sampler) == 50
    assert list(sampler) == first == list(ResumableSampler(range(50), seed=3))
    assert indices(sampler) != list(range(50))
    sampler.set_epoch(1)
    assert {s.epoch for s in sampler} == {1}
    assert indices(sampler) != [s.index for s in first]
    assert indices(ResumableSampler(range(50), seed=4)) != [s.index for s in first]
    assert indices(ResumableSampler(range(50), shuffle=False)) == list(range(50))


def test_start_skips_once():
    sampler = ResumableSampler(range(20), seed=0)
    everything = list(sampler)
    sampler.set_start(13)
    assert len(sampler) == 20
    assert list(sampler) == everything[13:]
    assert list(sampler) == everything
    with pytest.raises(ValueError, match='21'):
        sampler.set_start(21)


def test_state_of_numpy_does_not_matter():
    np.random.seed(1)
    one = list(ResumableSampler(range(20), seed=0))
    np.random.seed(2)
    assert list(ResumableSampler(range(20), seed=0)) == one


@pytest.mark.parametrize(
    ('size', 'round_up', 'each'), [(11, False, 3), (11, True, 4), (12, True, 4)]
)
def test_ranks_share_the_epoch_evenly(monkeypatch, size, round_up, each):
    parts = []
    for rank in range(3):
        monkeypatch.setattr(resumable, 'rank_and_world_size', lambda rank=rank: Ranks(rank, 3))
        sampler = ResumableSampler(range(size), seed=7, round_up=round_up)
        parts.append(indices(sampler))
        assert len(parts[-1]) == len(sampler) == each
    merged = [index for step in zip(*parts, strict=True) for index in step]
    monkeypatch.setattr(resumable, 'rank_and_world_size', Ranks)
    order = indices(ResumableSampler(range(size), seed=7))
    assert merged == (order * 2)[: 3 * each]
