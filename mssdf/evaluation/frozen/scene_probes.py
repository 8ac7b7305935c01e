"""Probes of scenes: nearest neighbors and logistic regression on pooled features."""

import numpy as np
import torch
from torch import Tensor

from .folds import fold_numbers, inner_splits, label_share
from .measurement_settings import MeasurementSettings
from .neighbors import nearest_labels, vote
from .probing import Probed, choose_penalties, fit_problems


def probe_scenes(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    settings: MeasurementSettings,
    metric: str,
    pool: str,
) -> list[Probed]:
    """Classify every image by the others.

    Args:
        features: pooled features (N, D).
        labels: classes (N,) int64.
        num_classes: number K of classes.
        settings: settings with folds, numbers of neighbors, shares of labels and penalties.
        metric: name of the distance of the nearest neighbors.
        pool: name of the features' pooling.

    Returns:
        Results of each probe.

    Raises:
        ValueError: if a class has fewer images than there are folds, or there are fewer training
            rows than k.
    """
    names = labels.cpu().numpy()
    fold = fold_numbers(names, settings.scene_folds, settings.seed)
    found = _neighbors(features, labels, fold, num_classes, settings, metric, pool)
    for share in settings.shares:
        found.append(_logistic(features, labels, names, fold, num_classes, settings, share, pool))
    return found


def _neighbors(
    features: Tensor,
    labels: Tensor,
    fold: np.ndarray,
    num_classes: int,
    settings: MeasurementSettings,
    metric: str,
    pool: str,
) -> list[Probed]:
    most = max(settings.k)
    nearest = torch.zeros(len(labels), most, dtype=torch.int64, device=features.device)
    for number in range(settings.scene_folds):
        query = torch.from_numpy(fold == number).to(features.device)
        nearest[query] = nearest_labels(
            features[~query], labels[~query], features[query], most, metric
        )
    return [
        Probed(
            f'kNN-{k}',
            pool,
            100.0,
            ['accuracy'],
            _right(vote(nearest[:, :k], num_classes), labels),
            dict(k=k, folds=settings.scene_folds, metric=metric),
        )
        for k in settings.k
    ]


def _logistic(
    features: Tensor,
    labels: Tensor,
    names: np.ndarray,
    fold: np.ndarray,
    num_classes: int,
    settings: MeasurementSettings,
    share: float,
    pool: str,
) -> Probed:
    """Classify by a logistic regression on a share of the labels."""
    folds = range(settings.scene_folds)
    rows = [
        label_share(names, np.flatnonzero(fold != number), share / 100, settings.seed)
        for number in folds
    ]

    splits = [inner_splits(names, own, seed=settings.seed) for own in rows]
    penalties = choose_penalties(
        features, labels, splits, settings.penalties, num_classes, by_accuracy=True
    )
    fitted = fit_problems(features, labels, rows, penalties, num_classes)

    predicted = torch.zeros_like(labels)
    for number, (models, place) in zip(folds, fitted, strict=True):
        query = torch.from_numpy(fold == number).to(features.device)
        predicted[query] = models.logits(features[query], place).argmax(dim=1)

    details: dict[str, float | str] = dict(
        folds=settings.scene_folds,
        penalty=float(np.median(penalties)),
        training=float(np.mean([len(own) for own in rows])),
    )
    return Probed('linear', pool, share, ['accuracy'], _right(predicted, labels), details)


def _right(predicted: Tensor, labels: Tensor) -> np.ndarray:
    """Return (N, 2): whether each image is right, and 1."""
    right = (predicted == labels).double()
    return torch.stack([right, torch.ones_like(right)], dim=1).cpu().numpy()
