"""Windows of rasters, and their resizing with unknown pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_SEEN = 0.5  # smallest share of known pixels in a window that is kept


@dataclass
class Layers:
    """A stack of rasters of the same ground, pixel by pixel.

    Attributes:
        rgb: image (H, W, 3).
        seen: validity (H, W) bool of the image.
        labels: labels (H, W) int64, -1 where unknown; None without masks.
        heights: heights (H, W) float32 in meters, NaN where unknown; None without heights.
    """

    rgb: NDArray
    seen: NDArray[np.bool_]
    labels: NDArray[np.int64] | None = None
    heights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: if the layers differ in size.
        """
        shapes = [
            layer.shape[:2]
            for layer in (self.rgb, self.seen, self.labels, self.heights)
            if layer is not None
        ]
        if len(set(shapes)) > 1:
            raise ValueError(f'expected image, mask and heights of one size, found {shapes}')

    def crop(self, top: int, left: int, side: int) -> 'Layers':
        """Cut out a square."""
        place = slice(top, top + side), slice(left, left + side)
        return Layers(
            self.rgb[place],
            self.seen[place],
            None if self.labels is None else self.labels[place],
            None if self.heights is None else self.heights[place],
        )

    def known(self) -> float:
        """Return the share of pixels with an image and, where present, labels and heights."""
        known = self.seen.copy()
        if self.labels is not None:
            known &= self.labels >= 0
        if self.heights is not None:
            known &= np.isfinite(self.heights)
        return float(known.mean())


def windows(layers: Layers, side: int) -> Iterator[tuple[tuple[int, int], Layers]]:
    """Cut into squares that do not overlap; those that are mostly unknown are left out.

    Args:
        layers: layers of a raster.
        side: side of the squares in pixels; 0 yields the whole raster.

    Yields:
        Row and column of the window's first pixel, and the window.
    """
    height, width = layers.rgb.shape[:2]
    if not side:
        yield (0, 0), layers
        return
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            window = layers.crop(top, left, side)
            if window.known() >= LEAST_SEEN:
                yield (top, left), window


def resized(layers: Layers, size: int) -> Layers:
    """Resize layers to a square.

    Values are averaged over known pixels when they shrink and interpolated bicubically when they
    grow; labels take the nearest pixel.
    """
    if layers.rgb.shape[:2] == (size, size):
        return layers
    shape = (size, size)
    shrinks = size <= min(layers.rgb.shape[:2])
    rgb = layers.rgb if layers.rgb.dtype == np.uint8 else layers.rgb.astype(np.float32)
    smooth = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    labels, heights = layers.labels, layers.heights
    if labels is not None:
        # float64 represents every label; OpenCV does not resize int64.
        labels = cv2.resize(
            labels.astype(np.float64), shape, interpolation=cv2.INTER_NEAREST_EXACT
        ).astype(np.int64)
    if heights is not None:
        heights = _resize_known(heights, shape, shrinks)
    seen = cv2.resize(layers.seen.astype(np.float32), shape, interpolation=cv2.INTER_AREA) >= 0.5
    return Layers(cv2.resize(rgb, shape, interpolation=smooth), seen, labels, heights)


def _resize_known(
    heights: NDArray[np.float32], shape: tuple[int, int], shrinks: bool
) -> NDArray[np.float32]:
    """Resize heights, each from its known pixels; unknown where fewer than half are known."""
    known = np.isfinite(heights).astype(np.float32)
    middle = np.float32(np.nanmedian(heights)) if known.any() else np.float32(0)
    filled = np.where(known > 0, heights - middle, 0).astype(np.float32)
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    total, share = (cv2.resize(layer, shape, interpolation=way) for layer in (filled, known))
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(share >= 0.5, total / share + middle, np.nan).astype(np.float32)


def relative_to_median(heights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the median of the known heights."""
    if not np.isfinite(heights).any():
        return heights
    return heights - np.float32(np.nanmedian(heights))
