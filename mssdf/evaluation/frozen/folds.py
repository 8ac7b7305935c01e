"""Folds and shares of labels, drawn so that nothing of a query is in its training rows."""

import numpy as np
from numpy.typing import NDArray

from ..labeled_images import stratified_folds

Indices = NDArray[np.int64]


def fold_numbers(labels: NDArray, num_folds: int, seed: int = 0) -> Indices:
    """Number (N,) of the stratified fold in which each image is a query.

    Args:
        labels: (N,) int, classes.
        num_folds: number of folds.
        seed: seed of the draw.

    Raises:
        ValueError: if a class has fewer images than there are folds.
    """
    numbers = np.zeros(len(labels), np.int64)
    for number, (_, query) in enumerate(stratified_folds(labels, num_folds, seed)):
        numbers[query] = number
    return numbers


def group_folds(groups: NDArray, num_folds: int) -> Indices:
    """Number (N,) of the fold of each image; a group is never split.

    Groups are numbered by where they lie, and a fold is a run of consecutive ones: few neighbors
    are in different folds.

    Args:
        groups: (N,) int.
        num_folds: number of folds; fewer if there are fewer groups.

    Raises:
        ValueError: if there is a single group.
    """
    names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    num_folds = min(num_folds, len(names))
    if num_folds < 2:
        raise ValueError(f'groups: expected at least two, found {len(names)}')
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    numbers = np.minimum((middle * num_folds).astype(np.int64), num_folds - 1)
    numbers = np.unique(numbers, return_inverse=True)[1]  # one large group may leave a gap
    if numbers.max() == 0:
        numbers = np.arange(len(names)) * num_folds // len(names)
    return numbers[inverse]


def label_share(labels: NDArray, rows: Indices, share: float, seed: int = 0) -> Indices:
    """Draw a share of the rows, the same share of each class and at least one row of it.

    For one seed a smaller share is part of a larger one.

    Args:
        labels: (N,) int, classes of all images.
        rows: images to draw from.
        share: part of them, above 0 and at most 1.
        seed: seed of the draw.

    Returns:
        The drawn rows, sorted.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.argsort(order)  # the same for every fold, so that folds share their few labels
    drawn = []
    for label in np.unique(labels[rows]):
        members = rows[labels[rows] == label]
        count = max(round(share * len(members)), 1)
        drawn.append(members[np.argsort(rank[members])][:count])
    return np.sort(np.concatenate(drawn))


def inner_splits(
    labels: NDArray, rows: Indices, few: int = 400, seed: int = 0
) -> list[tuple[Indices, Indices]]:
    """Split training rows again, stratified, to choose a penalty.

    Args:
        labels: (N,) int, classes of all images.
        rows: the training rows.
        few: up to this many rows are split into three folds, more are held out once.
        seed: seed of the draw.

    Returns:
        Training and held-out rows of each split; none if each class has a single row.
    """
    rng = np.random.default_rng(seed)
    number = np.full(len(rows), -1)
    folds = 3 if len(rows) <= few else 4
    smallest = np.unique(labels[rows], return_counts=True)[1]
    folds = min(folds, int(smallest.max()))
    if folds < 2:
        return []
    for label in np.unique(labels[rows]):
        members = rng.permutation(np.flatnonzero(labels[rows] == label))
        # a class with one row stays in training
        number[members[: len(members) if len(members) > 1 else 0]] = (
            np.arange(len(members) if len(members) > 1 else 0) % folds
        )
    held = range(folds) if len(rows) <= few else range(1)
    splits = [(rows[number != fold], rows[number == fold]) for fold in held]
    return [(train, test) for train, test in splits if len(test)]
