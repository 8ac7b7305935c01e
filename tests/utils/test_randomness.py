import random

import numpy as np
import torch
from torch import nn

from mssdf.engine.hooks import IterationSeedHook
from mssdf.utils.randomness import preserved_rng, seed_all


def draw() -> tuple:
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_same_position_same_numbers_and_no_other():
    seed_all(1, 0, 5)
    first = draw()
    seed_all(1, 0, 5)
    assert draw() == first
    others = set()
    for entropy in [(1, 0, 6), (1, 1, 5), (2, 0, 5), (0, 1, 5), (1, 5, 0)]:
        seed_all(*entropy)
        others.add(draw())
    for kind in range(3):  # Python's, NumPy's and PyTorch's, each by itself
        assert len({numbers[kind] for numbers in (first, *others)}) == 6


def test_preserved():
    seed_all(1)
    expected = draw()
    seed_all(1)
    with preserved_rng(9):
        inside = draw()
    assert draw() == expected != inside
    with preserved_rng(9):
        assert draw() == inside
    seed_all(1)
    try:
        with preserved_rng():
            draw()
            raise KeyError
    except KeyError:
        assert draw() == expected


def test_hook_seeds_from_seed_rank_and_iteration(monkeypatch):
    class Preprocessor:
        shared = ()

        def seed_next_batch(self, seed):
            self.shared += (seed,)

    class Model(nn.Module):
        data_preprocessor = Preprocessor()

    class Runner:
        seed, iter, model = 3, 17, Model()

    hook = IterationSeedHook()
    hook.before_train_iter(Runner(), 0)
    drawn = draw()
    seed_all(3, 0, 17)
    assert draw() == drawn
    monkeypatch.setattr('mssdf.engine.hooks.iteration_seed_hook.get_rank', lambda: 1)
    hook.before_train_iter(Runner(), 0)
    assert draw() != drawn
    one, other = Model.data_preprocessor.shared
    assert one == other, 'what the ranks share does not follow from the rank'
    Runner.iter = 18
    hook.before_train_iter(Runner(), 0)
    assert Model.data_preprocessor.shared[-1] != one
