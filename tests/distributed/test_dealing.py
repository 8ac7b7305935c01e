"""The rule that deals windows to ranks: each window to one rank, and back in its order."""

import numpy as np
import pytest
import torch

from mssdf.distributed import Ranks, alone, has_other_ranks, own_windows, rank_and_world_size

CPU = torch.device('cpu')


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_windows_come_back_in_their_order(world_size):
    batch = torch.randn(12, 5)
    parts = [Ranks(rank, world_size).share(batch) for rank in range(world_size)]
    assert torch.equal(Ranks(0, world_size).complete(torch.stack(parts)), batch)


def test_numbers_places_and_owners_agree_with_a_loop():
    world_size, each = 3, 4
    for rank in range(world_size):
        ranks = Ranks(rank, world_size)
        assert ranks.numbers(each, CPU).tolist() == [j * world_size + rank for j in range(each)]
        numbers = torch.arange(world_size * each)
        assert torch.equal(ranks.share(numbers), numbers[ranks.owns(numbers)])
        assert ranks.places(ranks.numbers(each, CPU)).tolist() == list(range(each))


def test_arrays_are_dealt_as_tensors_are():
    order = np.random.default_rng(0).permutation(10)
    for rank in range(2):
        ranks = Ranks(rank, 2)
        assert ranks.share(order).tolist() == ranks.share(torch.from_numpy(order)).tolist()


def test_one_process_is_alone(monkeypatch):
    assert rank_and_world_size() == (0, 1) and not has_other_ranks()
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    monkeypatch.setattr('torch.distributed.get_rank', lambda: 1)
    monkeypatch.setattr('torch.distributed.get_world_size', lambda: 3)
    assert rank_and_world_size() == (1, 3) and has_other_ranks()
    assert own_windows(2, CPU).tolist() == [1, 4]
    with alone():
        assert rank_and_world_size() == (0, 1) and not has_other_ranks()
    assert rank_and_world_size() == (1, 3)
