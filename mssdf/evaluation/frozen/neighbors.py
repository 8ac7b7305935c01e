"""k nearest neighbors by matrix products."""

import torch
import torch.nn.functional as F
from torch import Tensor

METRICS = ('cosine', 'euclidean')


def nearest_labels(
    bank: Tensor, bank_labels: Tensor, query: Tensor, k: int, metric: str = 'cosine'
) -> Tensor:
    """Find the labels of the k nearest features of a bank, the nearest first.

    Args:
        bank: features (n, D) of known class.
        bank_labels: classes (n,) int64 of the bank.
        query: features (m, D) to classify.
        k: number of neighbors.
        metric: name of the distance, one of ``METRICS``; ``'euclidean'`` is on features
            standardized over the bank.

    Returns:
        Classes (m, k) int64.

    Raises:
        ValueError: if the metric is another, the bank is smaller than k, or features are not
            finite.
    """
    if metric not in METRICS:
        raise ValueError(f'metric: expected one of {METRICS}, found {metric!r}')
    if not 1 <= k <= len(bank):
        raise ValueError(f'k: expected 1 to {len(bank)} (the size of the bank), found {k}')
    for name, features in (('bank', bank), ('query', query)):
        if not features.isfinite().all():
            raise ValueError(f'{name}: expected finite features, found NaN or infinite ones')

    bank, query = bank.double(), query.double()
    if metric == 'cosine':
        closeness = F.normalize(query, dim=1) @ F.normalize(bank, dim=1).T
    else:
        mean, spread = bank.mean(dim=0), bank.std(dim=0, correction=0)
        spread = torch.where(spread > 0, spread, 1.0)
        closeness = -torch.cdist((query - mean) / spread, (bank - mean) / spread)
    return bank_labels[closeness.topk(k, dim=1).indices]


def vote(labels: Tensor, num_classes: int) -> Tensor:
    """Choose the most frequent class of (m, k) neighbors, the first of several as in sklearn."""
    return F.one_hot(labels, num_classes).sum(dim=1).argmax(dim=1)
