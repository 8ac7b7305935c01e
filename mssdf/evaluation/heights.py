"""Errors of height maps, accumulated over any number of images."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = (1.25, 1.25**2, 1.25**3)


@dataclass
class HeightErrors:
    """A set of sums over valid pixels, from which every score follows.

    Attributes:
        count: number of valid pixels.
        squared, absolute: sums of squared and absolute errors, in the unit of the heights.
        positive: number of valid pixels whose true height is above the floor, for the relative
            scores.
        relative: sum of absolute errors over true heights, at these pixels.
        below: numbers of these pixels whose ratio to the truth (or its inverse) is below 1.25, 1.25
            ** 2 and 1.25 ** 3.
    """

    count: float = 0
    squared: float = 0
    absolute: float = 0
    positive: float = 0
    relative: float = 0
    below: tuple[float, float, float] = (0, 0, 0)

    def __add__(self, other: 'HeightErrors') -> 'HeightErrors':
        """Add the errors of two sets of pixels."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != 'below'
        }
        below = tuple(a + b for a, b in zip(self.below, other.below, strict=True))
        return HeightErrors(**sums, below=below)  # type: ignore[arg-type]

    def scores(self, scale: float = 1.0) -> dict[str, float]:
        """Compute RMSE and MAE, times ``scale``, AbsRel and the shares d1 to d3.

        A score without any pixel is NaN.
        """
        count, positive = self.count or np.nan, self.positive or np.nan
        shares = {f'd{i + 1}': float(below / positive) for i, below in enumerate(self.below)}
        return dict(
            RMSE=float(np.sqrt(self.squared / count)) * scale,
            MAE=float(self.absolute / count) * scale,
            AbsRel=float(self.relative / positive),
            **shares,
        )


def height_errors(
    predicted: NDArray, truth: NDArray, valid: NDArray, floor: float = 1.0
) -> HeightErrors:
    """Compare two height maps.

    Relative scores are meaningless near zero height. They count pixels above ``floor`` alone, with
    predictions clipped at a hundredth of it.

    Args:
        predicted: predicted heights of any shape.
        truth: true heights of the same shape.
        valid: validity (bool) of the same shape, true where the truth is known.
        floor: smallest true height that the relative scores count, in the heights' unit.

    Returns:
        Sums over the valid pixels.

    Raises:
        ValueError: if shapes differ, or a prediction is not finite at a valid pixel.
    """
    if not predicted.shape == truth.shape == valid.shape:
        raise ValueError(
            f'expected equal shapes, found {predicted.shape}, {truth.shape}, {valid.shape}'
        )

    predicted, truth = predicted[valid].astype(float), truth[valid].astype(float)
    if not np.isfinite(predicted).all():
        raise ValueError('predicted: expected finite heights, found NaN or infinite ones')
    error = np.abs(predicted - truth)

    high = truth > floor
    guess, height = np.maximum(predicted[high], floor / 100), truth[high]
    factor = np.maximum(guess / height, height / guess)
    below = tuple(float((factor < threshold).sum()) for threshold in THRESHOLDS)

    return HeightErrors(
        count=float(error.size),
        squared=float((error**2).sum()),
        absolute=float(error.sum()),
        positive=float(high.sum()),
        relative=float((error[high] / height).sum()),
        below=below,  # type: ignore[arg-type]
    )
