"""Paired bootstrap over images and seeds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scores import Score

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile interval.

    Attributes:
        value: the figure over all images, the mean over seeds.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def beyond_zero(self) -> bool:
        """Whether zero lies outside, as it should for a difference that is real."""
        return self.low > 0 or self.high < 0


def image_counts(num_images: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each image is drawn, (resamples, num_images), with replacement."""
    shares = np.full(num_images, 1 / num_images)
    drawn = np.random.default_rng(seed).multinomial(num_images, shares, resamples)
    return drawn.astype(np.float64)


def seed_weights(num_seeds: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Weight of each seed's score in the mean over seeds drawn with replacement."""
    if num_seeds == 1:
        return np.ones((resamples, 1))
    shares = np.full(num_seeds, 1 / num_seeds)
    drawn = np.random.default_rng(seed).multinomial(num_seeds, shares, resamples)
    return drawn / num_seeds


def resampled_scores(
    sums: NDArray[np.float64],
    score: Score,
    counts: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean score over seeds, under each resampling.

    Args:
        sums: (seeds, N, Q) sums over each image.
        score: function of sums over images.
        counts: (resamples, N) of :func:`image_counts`.
        weights: (resamples, seeds) of :func:`seed_weights`.

    Returns:
        (resamples,).
    """
    scores = np.stack([score(counts @ one) for one in sums], axis=1)
    return (scores * weights).sum(axis=1)


def mean_score(sums: NDArray[np.float64], score: Score) -> float:
    """Mean over seeds of the score over all images; ``sums`` as above."""
    return float(np.mean(score(sums.sum(axis=1))))


def score_interval(
    sums: NDArray[np.float64],
    score: Score,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of one row's score: images resampled, and seeds if there are several.

    Args:
        sums: (seeds, N, Q) sums over each image.
        score: function of sums over images.
        level: share of the resampled scores inside.
        resamples: number of resamplings.
        seed: seed of the draw.
    """
    counts = image_counts(sums.shape[1], resamples, seed)
    scores = resampled_scores(sums, score, counts, seed_weights(len(sums), resamples, seed + 1))
    return _interval(mean_score(sums, score), scores, level)


def difference_interval(
    sums: NDArray[np.float64],
    reference: NDArray[np.float64],
    score: Score,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of the difference of two rows: the same images are drawn for both.

    Args:
        sums: (seeds, N, Q) sums over each image.
        reference: (other seeds, N, Q), whose score is subtracted.
        score: function of sums over images.
        level: share of the resampled differences inside.
        resamples: number of resamplings.
        seed: seed of the draw.

    Raises:
        ValueError: if the rows are of other images.
    """
    if sums.shape[1:] != reference.shape[1:]:
        raise ValueError(
            f'expected both rows over the same images, found {sums.shape[1:]} and '
            f'{reference.shape[1:]} (images, sums)'
        )
    counts = image_counts(sums.shape[1], resamples, seed)
    difference = resampled_scores(
        sums, score, counts, seed_weights(len(sums), resamples, seed + 1)
    ) - resampled_scores(
        reference, score, counts, seed_weights(len(reference), resamples, seed + 2)
    )
    return _interval(mean_score(sums, score) - mean_score(reference, score), difference, level)


def _interval(value: float, scores: NDArray[np.float64], level: float) -> Interval:
    low, high = np.nanquantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
