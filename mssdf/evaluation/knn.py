"""k nearest neighbors on frozen features: separation of the classes without training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from mssdf.models.utils.collapse import effective_rank, feature_std


@dataclass
class KNNResult:
    """Result of :func:`evaluate_knn`.

    Attributes:
        accuracy: share of the queries that are classified correctly.
        effective_rank: effective rank of all features, bank and queries.
        feature_std: standard deviation of all features.
        correct: (number of queries,) bool, true where a query is right, in the order of the splits.
    """

    accuracy: float
    effective_rank: float
    feature_std: float
    correct: np.ndarray


def knn_predict(
    bank: np.ndarray,
    bank_labels: np.ndarray,
    query: np.ndarray,
    k: int = 20,
    metric: str = 'cosine',
    weights: str = 'uniform',
) -> np.ndarray:
    """Classify each query by the vote of its k nearest neighbors, as scikit-learn does.

    Args:
        bank: features (n, d) of known class.
        bank_labels: classes (n,) int of the bank.
        query: features (m, d) to classify.
        k: number of neighbors.
        metric: name of a distance in scikit-learn.
        weights: weights of the votes, ``'uniform'`` or ``'distance'``.

    Returns:
        Classes (m,) int.

    Raises:
        ValueError: if the bank has fewer than k features, or features are not finite.
    """
    if not 1 <= k <= len(bank):
        raise ValueError(f'k: expected 1 to {len(bank)} (the size of the bank), found {k}')
    for name, features in (('bank', bank), ('query', query)):
        if not np.isfinite(features).all():
            raise ValueError(f'{name}: expected finite features, found NaN or infinite ones')
    classifier = KNeighborsClassifier(n_neighbors=k, metric=metric, weights=weights)
    return classifier.fit(bank, bank_labels).predict(query)


def knn_accuracy(
    bank: np.ndarray,
    bank_labels: np.ndarray,
    query: np.ndarray,
    query_labels: np.ndarray,
    k: int = 20,
    metric: str = 'cosine',
    weights: str = 'uniform',
) -> float:
    """Compute the share of queries that :func:`knn_predict` classifies correctly.

    Args:
        bank: features (n, d) of known class.
        bank_labels: classes (n,) int of the bank.
        query: features (m, d) to classify.
        query_labels: true classes (m,) int of the queries.
        k: number of neighbors.
        metric: name of a distance in scikit-learn.
        weights: weights of the votes, ``'uniform'`` or ``'distance'``.

    Returns:
        Share, 0...1.
    """
    found = knn_predict(bank, bank_labels, query, k, metric, weights)
    return float(np.mean(found == query_labels))


def evaluate_knn(
    features: np.ndarray,
    labels: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    k: int = 20,
    metric: str = 'cosine',
    weights: str = 'uniform',
) -> KNNResult:
    """Classify some features by the others, and measure collapse.

    Args:
        features: features (N, d).
        labels: classes (N,) int.
        splits: indices of the bank and of the queries: one pair, or one per fold of a
            cross-validation.
        k: number of neighbors.
        metric: name of the distance; see :func:`knn_predict`.
        weights: weights of the votes; see :func:`knn_predict`.
    """
    correct = np.concatenate(
        [
            knn_predict(features[bank], labels[bank], features[query], k, metric, weights)
            == labels[query]
            for bank, query in splits
        ]
    )
    tensor = torch.from_numpy(features)
    return KNNResult(
        accuracy=float(correct.mean()),
        effective_rank=float(effective_rank(tensor)),
        feature_std=float(feature_std(tensor)),
        correct=correct,
    )


def bootstrap_interval(
    correct: np.ndarray, level: float = 0.95, resamples: int = 10000, seed: int = 0
) -> tuple[float, float]:
    """Estimate the percentile bootstrap interval of an accuracy over its queries.

    Args:
        correct: (m,) bool, true where a query is right.
        level: confidence level: share of the resampled accuracies inside the interval.
        resamples: number of resamplings.
        seed: seed of the draw.
    """
    # With m queries drawn with replacement, the number of correct ones is binomial.
    counts = np.random.default_rng(seed).binomial(len(correct), np.mean(correct), resamples)
    low, high = np.quantile(counts / len(correct), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def gain_interval(
    correct: np.ndarray,
    reference: np.ndarray,
    level: float = 0.95,
    resamples: int = 10000,
    seed: int = 0,
) -> tuple[float, float]:
    """Estimate the bootstrap interval of the difference of two accuracies on the same queries.

    Args:
        correct: (m,) bool, true where a query is right.
        reference: (m,) bool of the accuracy that is subtracted.
        level: confidence level: share of the resampled differences inside the interval.
        resamples: number of resamplings.
        seed: seed of the draw.
    """
    gained = np.count_nonzero(correct & ~reference)
    lost = np.count_nonzero(~correct & reference)
    count = len(correct)
    shares = [gained / count, lost / count, (count - gained - lost) / count]
    drawn = np.random.default_rng(seed).multinomial(count, shares, resamples)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / count, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
