"""Moments, extremes and exact percentiles of a stream of pixels, mergeable.

Percentiles of 8- and 16-bit integers come from a histogram with one bin per value. 32-bit floats
are mapped to unsigned integers of the same order. A first pass counts them by their upper 16 bits,
which locates the bin of each percentile; a second pass counts the lower 16 bits within those bins
alone. Both are exact.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LOW_BITS = 16


def ordered_keys(values: NDArray) -> NDArray[np.uint32]:
    """Map uint8, uint16, int16 or float32 to unsigned integers that sort in the same order."""
    if values.dtype == np.float32:
        bits = np.ascontiguousarray(values).view(np.uint32)
        negative = bits >> 31 == 1
        return np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return (values.astype(np.int32) - np.iinfo(values.dtype).min).astype(np.uint32)


def from_keys(keys: NDArray[np.uint32], dtype: np.dtype) -> NDArray:
    """Map the integers of :func:`ordered_keys` back to values."""
    if dtype == np.float32:
        keys = np.asarray(keys, dtype=np.uint32)
        positive = keys >> 31 == 1
        return np.where(positive, keys & np.uint32((1 << 31) - 1), ~keys).view(np.float32)
    return (np.asarray(keys).astype(np.int64) + np.iinfo(dtype).min).astype(dtype)


class PixelStatistics:
    """Statistics of C bands over all pixels that :meth:`update` has received.

    Args:
        bands: number C of bands.
        dtype: number type of the values: uint8, uint16, int16 or float32.
    """

    ARRAYS = ('count', 'mean', 'squares', 'low', 'high', 'coarse')

    def __init__(self, bands: int, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.shift = LOW_BITS if self.dtype.kind == 'f' else 0
        bins = 1 << (8 * self.dtype.itemsize - self.shift)
        self.count = np.zeros(bands, dtype=np.int64)
        self.mean = np.zeros(bands)
        self.squares = np.zeros(bands)  # sum of squared differences from the mean
        self.low = np.full(bands, np.inf)
        self.high = np.full(bands, -np.inf)
        self.coarse = np.zeros((bands, bins), dtype=np.int64)

    @property
    def bands(self) -> int:
        """Number C of bands."""
        return len(self.count)

    def update(self, values: NDArray) -> None:
        """Add valid pixels (C, n)."""
        values = np.asarray(values, dtype=self.dtype)
        if values.shape[1] == 0:
            return
        mean = values.mean(axis=1, dtype=np.float64)
        squares = np.square(values - mean[:, None]).sum(axis=1)
        self._merge_moments(np.full(self.bands, values.shape[1]), mean, squares)
        self.low = np.minimum(self.low, values.min(axis=1))
        self.high = np.maximum(self.high, values.max(axis=1))
        for band, keys in enumerate(ordered_keys(values) >> self.shift):
            self.coarse[band] += np.bincount(keys, minlength=self.coarse.shape[1])

    def merge(self, other: 'PixelStatistics') -> None:
        """Add the pixels of other statistics."""
        self._merge_moments(other.count, other.mean, other.squares)
        self.low = np.minimum(self.low, other.low)
        self.high = np.maximum(self.high, other.high)
        self.coarse += other.coarse

    def _merge_moments(self, count: NDArray, mean: NDArray, squares: NDArray) -> None:
        """Merge moments, stably for a large mean (Chan, Golub, LeVeque 1979)."""
        total = self.count + count
        share = count / np.maximum(total, 1)
        delta = mean - self.mean
        self.squares = self.squares + squares + delta**2 * self.count * share
        self.mean = self.mean + delta * share
        self.count = total

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation per band."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))

    def wanted_bins(self, percentiles: Sequence[float]) -> list[NDArray[np.int64]]:
        """List, per band, the sorted coarse bins of the values that percentiles need."""
        return [
            np.unique(self._locate(band, ranks)[0])
            for band in range(self.bands)
            for ranks in [_ranks(percentiles, int(self.count[band]))[0]]
        ]

    def _locate(
        self, band: int, ranks: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the coarse bins of values of given ranks, and their ranks within them."""
        below = np.concatenate([[0], np.cumsum(self.coarse[band])])
        bins = np.searchsorted(below, ranks, side='right') - 1
        return bins, ranks - below[bins]

    def percentiles(
        self, percentiles: Sequence[float], fine: 'FineCounts | None' = None
    ) -> NDArray[np.float64]:
        """Compute exact percentiles, interpolated as NumPy does by default.

        Args:
            percentiles: P percentiles, 0 … 100.
            fine: counts of the second pass, for floats.

        Returns:
            Values (P, C).
        """
        columns = []
        for band in range(self.bands):
            ranks, share = _ranks(percentiles, int(self.count[band]))  # (2, P), (P,)
            bins, within = self._locate(band, ranks)
            keys = bins
            if self.shift:
                if fine is None:
                    raise ValueError(
                        'percentiles: expected the second pass over floats, found none'
                    )
                keys = (bins << self.shift) + fine.locate(band, bins, within)
            low, high = from_keys(keys.astype(np.uint32), self.dtype).astype(np.float64)
            columns.append(low + (high - low) * share)
        return np.stack(columns, axis=1)


class FineCounts:
    """A second pass over floats: counts of the lower bits within the wanted coarse bins.

    Args:
        bins: sorted coarse bins of each band.
    """

    def __init__(self, bins: Sequence[NDArray[np.int64]]) -> None:
        self.bins = list(bins)
        self.counts = [np.zeros((len(b), 1 << LOW_BITS), dtype=np.int64) for b in bins]

    def update(self, values: NDArray) -> None:
        """Add valid pixels (C, n), float32."""
        keys = ordered_keys(np.asarray(values, dtype=np.float32))
        for band, (bins, counts) in enumerate(zip(self.bins, self.counts, strict=True)):
            slot_of = np.full(1 << LOW_BITS, -1, dtype=np.int32)
            slot_of[bins] = np.arange(len(bins))
            slot = slot_of[keys[band] >> LOW_BITS]
            chosen = slot >= 0
            low = keys[band][chosen] & np.uint32((1 << LOW_BITS) - 1)
            flat = (slot[chosen].astype(np.int64) << LOW_BITS) + low
            counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)

    def merge(self, other: 'FineCounts') -> None:
        """Add the pixels of other counts."""
        for mine, theirs in zip(self.counts, other.counts, strict=True):
            mine += theirs

    def locate(
        self, band: int, bins: NDArray[np.int64], ranks: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Find the lower bits of values of given ranks within their coarse bins."""
        slots = np.searchsorted(self.bins[band], bins)
        below = np.cumsum(self.counts[band], axis=1)
        found = [
            int(np.searchsorted(below[slot], rank, side='right'))
            for slot, rank in zip(slots.flat, ranks.flat, strict=True)
        ]
        return np.array(found, dtype=np.int64).reshape(bins.shape)


def _ranks(
    percentiles: Sequence[float], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Compute the ranks of the values around each percentile (2, P), and the upper share (P,)."""
    position = np.asarray(percentiles, dtype=np.float64) / 100 * max(0, count - 1)
    low = np.floor(position).astype(np.int64)
    return np.stack([low, np.minimum(low + 1, max(0, count - 1))]), position - low
