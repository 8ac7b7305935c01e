"""How far two modalities of one place lie apart, seen by their edges.

Heights and colors have no values in common, but roofs, walls and crowns end in both. The edges'
cross-correlation peaks where they coincide. Over a single tile the peak is often weak; correlations
of many tiles add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

# Pixels over which gradients are taken: below, noise; far above, edges merge.
SIGMA = 1.5
# Gradients above this percentile count alike, so that a few high walls do not decide.
CLIP_PERCENTILE = 95
# Pixels at the border of validity whose gradient is that of the border.
BORDER = 5
MIN_PIXELS = 64 * 64
# Pixels over which a correlation must change to count as a peak.
SLOW = 4.0
# Pixels over which a peak is looked for: in an orthophoto that is not a true one, roofs and crowns
# lean by as much as they are high, and the peak is a ridge.
RIDGE = 2.0


@dataclass(frozen=True)
class Shift:
    """An estimate of how far a modality lies from the reference.

    Attributes:
        rows, cols: pixels by which it lies too low and too far right; move it back by these.
        peak: height of the correlation's peak above its surroundings, in their deviations.
        error: standard error in pixels, from leaving out one tile at a time; NaN for one tile.
        tiles: how many took part.
        at_limit: whether the peak is at the border of what was searched: the shift is larger.
    """

    rows: float
    cols: float
    peak: float
    error: float
    tiles: int
    at_limit: bool

    @property
    def pixels(self) -> float:
        """Length of the shift."""
        return float(np.hypot(self.rows, self.cols))


def edge_strength(
    values: NDArray, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Edges of an image: clipped gradient magnitudes, less their mean.

    Args:
        values: (C, H, W); bands are averaged.
        valid: (H, W).

    Returns:
        (H, W) strengths, 0 where unknown, and where they are known.
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
    """Correlation of two edge images (H, W) for shifts up to ``reach``, made sharp.

    Half of phase correlation: the square root of the spectrum's magnitude is divided out. All of
    it, as scikit-image's phase correlation does, leaves too little of edges as different as those
    of colors and heights; none of it leaves a hill without a top. What varies slowly is taken
    away.

    Returns:
        (2·reach + 1, 2·reach + 1), the middle for no shift; None where one has no edges.
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
    """The shift at the peak of the mean of correlations; None without any."""
    if not len(surfaces):
        return None
    total = np.asarray(np.sum(surfaces, axis=0, dtype=np.float64))
    rows, cols, at_limit = _peak(total)
    others = np.array([_peak(total - one)[:2] for one in surfaces]) if len(surfaces) > 1 else None
    error = float('nan')
    if others is not None:
        # the jackknife's standard error
        spread = ((others - others.mean(axis=0)) ** 2).sum()
        error = float(np.sqrt((len(others) - 1) / len(others) * spread))
    middle = np.median(total)
    deviation = 1.4826 * np.median(np.abs(total - middle))
    peak = float((total.max() - middle) / deviation) if deviation > 0 else 0.0
    return Shift(rows, cols, peak, error, len(surfaces), at_limit)


def _peak(surface: NDArray[np.float64]) -> tuple[float, float, bool]:
    """Rows and columns of the highest point, between pixels by a parabola along each axis."""
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
    """Where the parabola through three neighbors, the middle one highest, has its top."""
    bend = three[0] - 2 * three[1] + three[2]
    return float((three[0] - three[2]) / (2 * bend)) if bend < 0 else 0.0
