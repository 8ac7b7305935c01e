"""Paired bootstrap over seeds and test images."""

import numpy as np
from numpy.typing import NDArray

from ..frozen.bootstrap import (
    RESAMPLES,
    Interval,
    image_counts,
    mean_score,
    resampled_scores,
    seed_weights,
)
from ..frozen.scores import Score


def paired_difference(
    sums: NDArray[np.float64],
    reference: NDArray[np.float64],
    score: Score,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of the difference of two rows whose seeds belong together.

    Both rows learn from the same labels with the same seed: not only the same images are drawn
    for both, but the same seeds too.

    Args:
        sums: (S, N, Q) sums over each image.
        reference: (S, N, Q), whose score is subtracted.
        score: function of sums over images.
        level: share of the resampled differences inside.
        resamples: number of resamplings.
        seed: seed of the draw.

    Raises:
        ValueError: if the rows are of other seeds or images.
    """
    if sums.shape != reference.shape:
        raise ValueError(
            f'expected both rows over the same seeds and images, found {sums.shape} and '
            f'{reference.shape} (seeds, images, sums)'
        )
    counts = image_counts(sums.shape[1], resamples, seed)
    weights = seed_weights(len(sums), resamples, seed + 1)
    difference = resampled_scores(sums, score, counts, weights) - resampled_scores(
        reference, score, counts, weights
    )

    low, high = np.nanquantile(difference, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean_score(sums, score) - mean_score(reference, score), float(low), float(high))
