"""Reproducible drawing of shares of labeled samples."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 256


def order_by_class(samples: Mapping[str, Hashable], seed: int) -> dict[Hashable, list[str]]:
    """Order the samples of each class by seed and names alone.

    The first samples of each class are a stratified share, and smaller shares are part of larger
    ones.

    Args:
        samples: class of each sample by its name.
        seed: seed of the order.
    """
    by_class: dict[Hashable, list[str]] = {}
    for name in sorted(samples):
        by_class.setdefault(samples[name], []).append(name)
    rng = np.random.default_rng(seed)
    return {
        label: [names[i] for i in rng.permutation(len(names))]
        for label, names in sorted(by_class.items(), key=lambda item: str(item[0]))
    }


def take_share(ordered: Mapping[Hashable, Sequence[str]], share: float) -> list[str]:
    """Take the first ``share`` of each class, at least one sample of each, sorted by name.

    Raises:
        ValueError: if the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f'share: expected above 0 and at most 1, found {share}')
    taken = [
        name for names in ordered.values() for name in names[: max(round(share * len(names)), 1)]
    ]
    return sorted(taken)


def order_by_pixels(counts: NDArray[np.int64], seed: int) -> list[int]:
    """Order images so that the first of them have all classes in about the same shares.

    At each step, the seed draws half of the remaining images, at most ``CANDIDATES``; the next
    image is the one of them that brings each class's share of its pixels closest to the share of
    images taken. Rare classes count as much as common ones.

    Args:
        counts: numbers (N, K) of pixels of each class in each image.
        seed: seed of the candidates.

    Returns:
        Indices of all images.
    """
    totals = counts.sum(axis=0)
    shares = counts[:, totals > 0] / totals[totals > 0]  # (N, K'), each class sums to 1
    rng = np.random.default_rng(seed)
    left: NDArray[np.intp] = np.arange(len(counts))
    order: list[int] = []
    reached = np.zeros(shares.shape[1])
    while len(left):
        goal = (len(order) + 1) / len(counts)
        drawn = rng.choice(len(left), min((len(left) + 1) // 2, CANDIDATES), replace=False)
        distance = np.square(reached + shares[left[drawn]] - goal).sum(axis=1)
        best = drawn[distance.argmin()]
        reached = reached + shares[left[best]]
        order.append(int(left[best]))
        left[best] = left[-1]
        left = left[:-1]
    return order
