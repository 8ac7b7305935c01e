"""Folds and shares of labels that keep everything about a query out of its training rows."""

import numpy as np
from numpy.typing import NDArray

from ..labeled_images import stratified_folds

Indices = NDArray[np.int64]


def fold_numbers(labels: NDArray, num_folds: int, seed: int = 0) -> Indices:
    """Assign each image the number (N,) of the stratified fold in which it is a query.

    Args:
        labels: classes (N,) int.
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
    """Assign each image the number (N,) of its fold; a group is never split.

    Groups are numbered by their position, and a fold is a run of consecutive groups, so few
    neighbors are in different folds.

    Args:
        groups: group (N,) int of each image.
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
    numbers = np.unique(numbers, return_inverse=True)[1]  # a large group may leave a fold empty
    if numbers.max() == 0:
        numbers = np.arange(len(names)) * num_folds // len(names)
    return numbers[inverse]


def label_share(labels: NDArray, rows: Indices, share: float, seed: int = 0) -> Indices:
    """Draw a share of the rows, the same for each class, with at least one row of each.

    With one seed, a smaller share is part of a larger one.

    Args:
        labels: classes (N,) int of all images.
        rows: indices of the images to draw from.
        share: share to draw, above 0 and at most 1.
        seed: seed of the draw.

    Returns:
        Indices that were drawn, sorted.
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
        labels: classes (N,) int of all images.
        rows: indices of the training rows.
        few: largest number of rows that are split into three folds; more are held out once.
        seed: seed of the draw.

    Returns:
        Training and held-out rows of each split; no split if each class has a single row.
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
        # A class with one row stays in training.
        number[members[: len(members) if len(members) > 1 else 0]] = (
            np.arange(len(members) if len(members) > 1 else 0) % folds
        )
    held = range(folds) if len(rows) <= few else range(1)
    splits = [(rows[number != fold], rows[number == fold]) for fold in held]
    return [(train, test) for train, test in splits if len(test)]
