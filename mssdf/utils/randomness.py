"""Random states of the main process, set from a position in training or restored."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_all(*entropy: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices) from a few non-negative integers."""
    words = np.random.SeedSequence(list(entropy)).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(_joined(words[2:]))


def seed_from(*entropy: int) -> int:
    """Derive a seed for a generator of PyTorch from a few non-negative integers."""
    return _joined(np.random.SeedSequence(list(entropy)).generate_state(2))


def _joined(words: np.ndarray) -> int:
    """Join two words of 32 bits to 63 bits."""
    return (int(words[0]) << 31) + int(words[1] >> 1)


@contextmanager
def preserved_rng(*entropy: int) -> Iterator[None]:
    """Restore all random states after a block; seed from ``entropy``, if any, before it."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        if entropy:
            seed_all(*entropy)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)
