"""Shift between two modalities of one place, estimated from their edges.

Heights and colors have no values in common, but roofs, walls and crowns have edges in both. The
cross-correlation of the edges peaks where they coincide. Over a single tile the peak is often weak,
so the correlations of many tiles are added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

# Width of the gradient filter in pixels: below, noise dominates; far above, edges merge.
SIGMA = 1.5
# Gradients above this percentile are clipped, so that a few high walls do not dominate.
CLIP_PERCENTILE = 95
# Width in pixels of the border of validity, where the border itself makes gradients.
BORDER = 5
MIN_PIXELS = 64 * 64
# Scale in pixels above which changes of a correlation are not a peak.
SLOW = 4.0
# Width in pixels of the smoothing before the peak is found. In an orthophoto that is not a true
# one, roofs and crowns lean by their height, so that the peak is a ridge.
RIDGE = 2.0


@dataclass(frozen=True)
class Shift:
    """An estimate of the shift of a modality from the reference.

    Attributes:
        rows, cols: shift downwards and to the right in pixels; moving back by it corrects it.
        peak: height of the correlation's peak above its surroundings, in their standard deviations.
        error: standard error in pixels, from leaving out one tile at a time; NaN for one tile.
        tiles: number of tiles in the estimate.
        at_limit: whether the peak is at the border of the search range, so that the shift is
            larger.
    """

    rows: float
    cols: float
    peak: float
    error: float
    tiles: int
    at_limit: bool

    @property
    def pixels(self) -> float:
        """Length of the shift in pixels."""
        return float(np.hypot(self.rows, self.cols))


def edge_strength(
    values: NDArray, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Compute the edges of an image: clipped gradient magnitudes minus their mean.

    Args:
        values: image (C, H, W), whose bands are averaged.
        valid: validity (H, W).

    Returns:
        Strengths (H, W), 0 where unknown, and (H, W) bool, true where they are known.
    """
    known = ndimage.binary_erosion(valid, iterations=BORDER, border_value=0)
    if np.count_nonzero(known) < MIN_PIXELS:
        return np.zeros(valid.shape, dtype=np.float32), np.zeros_like(valid)
    gray = values.mean(axis=0, dtype=np.float32)
    gray = np.where(valid, gray, np.median(gray[valid]))
    strength = ndimage.gaussian_gradient_magnitude(gray, SIGMA)
    limit = np.percentile(strength[known], CLIP_PERCENTILE)
    if not limit > 0:
        return np.zeros(valid.shape, dtype=np.float32), np.zeros_like(valid)
    strength = np.minimum(strength, limit) / limit
    return np.where(known, strength - strength[known].mean(), 0).astype(np.float32), known


def correlate_edges(
    reference: NDArray[np.float32], moved: NDArray[np.float32], reach: int
) -> NDArray[np.float32] | None:
    """Compute the sharpened correlation of two edge images (H, W) for shifts up to ``reach``.

    This is half of phase correlation: the spectrum is divided by the square root of its magnitude.
    Dividing by the whole magnitude, as scikit-image's phase correlation does, leaves too little of
    edges as different as those of colors and heights; without division, the peak is too broad. Slow
    changes are subtracted.

    Returns:
        Correlation (2·reach + 1, 2·reach + 1), with no shift in the middle; None if one image has
        no edges.
    """
    if not (reference.any() and moved.any()):
        return None
    size = [fft.next_fast_len(n + reach, real=True) for n in reference.shape]
    spectrum = fft.rfft2(moved, size) * np.conj(fft.rfft2(reference, size))
    magnitude = np.abs(spectrum)
    spectrum /= np.sqrt(np.maximum(magnitude, 1e-3 * magnitude.mean()))
    surface = fft.irfft2(spectrum, size)
    middle = np.roll(surface, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    sharp = middle - ndimage.gaussian_filter(middle, SLOW)
    return (sharp / np.sqrt((sharp**2).mean())).astype(np.float32)


def estimate_shift(surfaces: Sequence[NDArray[np.float32]]) -> Shift | None:
    """Estimate the shift at the peak of the mean of correlations; None without correlations."""
    if not len(surfaces):
        return None
    total = np.asarray(np.sum(surfaces, axis=0, dtype=np.float64))
    rows, cols, at_limit = _peak(total)
    others = np.array([_peak(total - one)[:2] for one in surfaces]) if len(surfaces) > 1 else None
    error = float('nan')
    if others is not None:
        # The jackknife's standard error.
        spread = ((others - others.mean(axis=0)) ** 2).sum()
        error = float(np.sqrt((len(others) - 1) / len(others) * spread))
    middle = np.median(total)
    deviation = 1.4826 * np.median(np.abs(total - middle))
    peak = float((total.max() - middle) / deviation) if deviation > 0 else 0.0
    return Shift(rows, cols, peak, error, len(surfaces), at_limit)


def _peak(surface: NDArray[np.float64]) -> tuple[float, float, bool]:
    """Find row and column of the highest point, refined by a parabola along each axis."""
    surface = ndimage.gaussian_filter(surface, RIDGE)
    reach = surface.shape[0] // 2
    i, j = np.unravel_index(int(surface.argmax()), surface.shape)
    at_limit = i in (0, 2 * reach) or j in (0, 2 * reach)
    rows, cols = float(i - reach), float(j - reach)
    if not at_limit:
        rows += _vertex(surface[i - 1 : i + 2, j])
        cols += _vertex(surface[i, j - 1 : j + 2])
    return rows, cols, bool(at_limit)


def _vertex(three: NDArray[np.float64]) -> float:
    """Find the vertex of the parabola through three neighbors, the middle one highest."""
    bend = three[0] - 2 * three[1] + three[2]
    return float((three[0] - three[2]) / (2 * bend)) if bend < 0 else 0.0
