"""Results of a probe, and the choice of a penalty within the training rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .logistic import LogisticModels, fit_logistic

INNER: dict[str, Any] = dict(tolerance=1e-3, max_iterations=60)  # precise enough to rank penalties
LARGEST = 20_000_000  # largest rows times problems times classes that are fitted at once

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass
class Probed:
    """A result of one probe on one input.

    Attributes:
        probe: name of the probe.
        pool: name of the pooling of its input tokens.
        labels: share of the training labels, in percent.
        measures: names of the scores that follow from the sums.
        sums: sums (N, Q) over each image.
        details: further columns of the table.
    """

    probe: str
    pool: str
    labels: float
    measures: Sequence[str]
    sums: NDArray[np.float64]
    details: dict[str, float | str] = field(default_factory=dict)


def fit_problems(
    features: Tensor,
    labels: Tensor,
    rows: Sequence[NDArray[np.int64]],
    penalties: Sequence[float],
    num_classes: int,
    **options: Any,
) -> list[tuple[LogisticModels, int]]:
    """Fit a logistic regression for each pair of training rows and penalty.

    Args:
        features: features (N, D) of all images.
        labels: classes (N,) int64 of all images.
        rows: indices of the training rows of each problem.
        penalties: penalty of each problem.
        num_classes: number K of classes.
        **options: options of :func:`fit_logistic`.

    Returns:
        For each problem, the models that it was fitted with and its number among them.
    """
    used = np.unique(np.concatenate(list(rows)))
    place = np.zeros(len(features), np.int64)
    place[used] = np.arange(len(used))
    members = torch.zeros(len(rows), len(used), dtype=torch.bool)
    for problem, own in enumerate(rows):
        members[problem, torch.from_numpy(place[own])] = True
    index = torch.from_numpy(used).to(features.device)
    known, truth = features[index], labels[index]
    grid = torch.tensor(list(penalties), dtype=features.dtype, device=features.device)

    step = max(LARGEST // (len(used) * num_classes), 1)
    fitted: list[tuple[LogisticModels, int]] = []
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        models = fit_logistic(
            known, truth, members[part].to(features.device), grid[part], num_classes, **options
        )
        fitted.extend((models, number) for number in range(len(models.bias)))
    return fitted


def choose_penalties(
    features: Tensor,
    labels: Tensor,
    splits: Sequence[Sequence[Split]],
    penalties: Sequence[float],
    num_classes: int,
    by_accuracy: bool,
) -> list[float]:
    """Choose a penalty for each fold on splits of its training rows.

    Args:
        features: features (N, D) of all images.
        labels: classes (N,) int64 of all images.
        splits: training and held-out rows for each fold; a fold without any gets the middle
            penalty.
        penalties: candidate penalties.
        num_classes: number K of classes.
        by_accuracy: whether the most accurate penalty is chosen, and of equal ones the one of the
            least loss; else the least loss decides.

    Returns:
        Penalty of each fold.
    """
    problems = [
        (fold, split, penalty)
        for fold, own in enumerate(splits)
        for split in own
        for penalty in penalties
    ]
    chosen = [float(sorted(penalties)[len(penalties) // 2])] * len(splits)

    if not problems:
        return chosen

    fitted = fit_problems(
        features,
        labels,
        [train for _, (train, _), _ in problems],
        [penalty for _, _, penalty in problems],
        num_classes,
        **INNER,
    )

    marks: dict[tuple[int, float], list[tuple[float, float]]] = {}
    for (fold, (_, held), penalty), (models, number) in zip(problems, fitted, strict=True):
        index = torch.from_numpy(held).to(features.device)
        logits, truth = models.logits(features[index], number), labels[index]
        right = float((logits.argmax(dim=1) == truth).double().sum())
        loss = float(torch.nn.functional.cross_entropy(logits, truth, reduction='sum'))
        marks.setdefault((fold, penalty), []).append((right if by_accuracy else 0.0, -loss))

    for fold in range(len(splits)):
        totals = {
            penalty: tuple(np.sum(marks[fold, penalty], axis=0))
            for penalty in penalties
            if (fold, penalty) in marks
        }
        if totals:
            chosen[fold] = float(max(totals, key=lambda penalty: totals[penalty]))
    return chosen
