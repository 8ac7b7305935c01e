"""Intervals of scores and differences: bootstrap over images, t distribution over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from .scores import Score

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A score with its interval.

    Attributes:
        value: score over all images, averaged over seeds.
        low: lower end; NaN if a single image or group does not allow an estimate.
        high: upper end; NaN in the same case.
    """

    value: float
    low: float
    high: float

    @property
    def beyond_zero(self) -> bool:
        """True if zero lies outside the interval, as it does for a real difference."""
        return self.low > 0 or self.high < 0


class Uncertainty(NamedTuple):
    """A source of chance and its contribution to an interval.

    Attributes:
        below: standard error downwards.
        above: standard error upwards.
        freedom: degrees of freedom with which both are estimated.
    """

    below: float
    above: float
    freedom: float


@lru_cache(maxsize=2)  # all scores of a set use the same resamplings
def image_counts(num_images: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Draw images with replacement; return counts (resamples, num_images)."""
    shares = np.full(num_images, 1 / num_images)
    drawn = np.random.default_rng(seed).multinomial(num_images, shares, resamples)
    counts = drawn.astype(np.float64)
    counts.flags.writeable = False
    return counts


def mean_score(sums: NDArray[np.float64], score: Score) -> float:
    """Average the score over all images over seeds.

    Args:
        sums: sums (seeds, N, Q) over each image.
        score: function that maps sums over images to a score.
    """
    return float(np.mean(score(sums.sum(axis=1))))


def score_interval(
    sums: NDArray[np.float64],
    score: Score,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> Interval:
    """Estimate the interval of one row's score over other images and other seeds.

    Seeds count where the row has several.

    Args:
        sums: sums (seeds, N, Q) over each image.
        score: function that maps sums over images to a score.
        level: confidence level: share of such intervals that contain the true score.
        resamples: number of resamplings of the images.
        seed: seed of the draw.
        groups: group (N,) of each image, drawn as a whole; None if the images are independent.
    """
    (sums,) = _grouped([sums], groups)
    counts = image_counts(sums.shape[1], resamples, seed)
    parts = [
        _of_images(_resampled(sums, score, counts), sums.shape[1], level),
        _of_seeds(score(sums.sum(axis=1))),
    ]
    return _combined(mean_score(sums, score), parts, level)


def difference_interval(
    sums: NDArray[np.float64],
    reference: NDArray[np.float64],
    score: Score,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    paired: bool | None = None,
) -> Interval:
    """Estimate the interval of the difference of two rows on the same drawn images.

    If both rows have the same seeds, the differences are taken seed by seed; otherwise each row
    varies by itself (Welch).

    Args:
        sums: sums (seeds, N, Q) over each image.
        reference: sums (other seeds, N, Q) of the row whose score is subtracted.
        score: function that maps sums over images to a score.
        level: confidence level: share of such intervals that contain the true difference.
        resamples: number of resamplings of the images.
        seed: seed of the draw.
        groups: group (N,) of each image, drawn as a whole; None if the images are independent.
        paired: whether both rows have the same seeds in the same order; None assumes so where they
            have equally many.

    Raises:
        ValueError: if the rows have different images, or are paired with different numbers of
            seeds.
    """
    if sums.shape[1:] != reference.shape[1:]:
        raise ValueError(
            f'expected both rows over the same images, found {sums.shape[1:]} and '
            f'{reference.shape[1:]} (images, sums)'
        )
    if paired and len(sums) != len(reference):
        raise ValueError(
            f'expected rows of equally many seeds to pair, found {len(sums)} and {len(reference)}'
        )
    sums, reference = _grouped([sums, reference], groups)
    counts = image_counts(sums.shape[1], resamples, seed)
    drawn = _resampled(sums, score, counts) - _resampled(reference, score, counts)
    parts = [_of_images(drawn, sums.shape[1], level)]

    own, other = score(sums.sum(axis=1)), score(reference.sum(axis=1))
    if len(own) == len(other) if paired is None else paired:
        parts.append(_of_seeds(own - other))
    else:
        parts += [_of_seeds(own), _of_seeds(other)]
    return _combined(mean_score(sums, score) - mean_score(reference, score), parts, level)


def _grouped(
    rows: Sequence[NDArray[np.float64]], groups: NDArray[np.int64] | None
) -> list[NDArray[np.float64]]:
    """Sum over each group, and drop groups of which no row knows anything."""
    if groups is not None:
        names, place = np.unique(groups, return_inverse=True)
        member = (np.arange(len(names))[:, None] == place).astype(np.float64)  # (G, N)
        rows = [member @ sums for sums in rows]
    told = np.any([(sums != 0).any(axis=(0, 2)) for sums in rows], axis=0)
    return [sums[:, told] if told.any() else sums for sums in rows]


def _resampled(
    sums: NDArray[np.float64], score: Score, counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean score over all seeds, (resamples,), under each resampling of the images."""
    return np.mean([score(counts @ one) for one in sums], axis=0)


def _of_images(drawn: NDArray[np.float64], num_images: int, level: float) -> Uncertainty:
    """Estimate standard errors from the quantiles of resampled scores.

    Quantiles are used rather than the variance, as an R² of few images has extreme resamplings.
    Each side has its own error, as scores near their bound are skewed.
    """
    if num_images < 2 or np.isnan(drawn).all():  # for instance R² of heights that do not vary
        return Uncertainty(np.nan, np.nan, np.nan)
    low, middle, high = np.nanquantile(drawn, [(1 - level) / 2, 0.5, (1 + level) / 2])
    # Resamplings of n images vary by (n - 1) / n of the variance over n new images.
    unit = np.sqrt(num_images / (num_images - 1)) / ndtri((1 + level) / 2)
    return Uncertainty((middle - low) * unit, (high - middle) * unit, num_images - 1)


def _of_seeds(scores: NDArray[np.float64]) -> Uncertainty:
    """Estimate the standard error of the mean over seeds; a single seed adds none."""
    if len(scores) < 2:
        return Uncertainty(0.0, 0.0, 1.0)
    error = float(np.std(scores, ddof=1)) / np.sqrt(len(scores))
    return Uncertainty(error, error, len(scores) - 1)


def _combined(value: float, parts: Sequence[Uncertainty], level: float) -> Interval:
    """Add the variances and use the t distribution with Satterthwaite's degrees of freedom."""
    freedoms = np.array([part.freedom for part in parts])

    def half(errors: Sequence[float]) -> float:
        variances = np.square(errors)
        total = variances.sum()
        if total == 0:
            return 0.0
        freedom = 1 / (np.square(variances / total) / freedoms).sum()
        return float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(total))

    below, above = half([part.below for part in parts]), half([part.above for part in parts])
    return Interval(value, value - below, value + above)
