"""A random part of the window, brought back to one size."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mssdf.errors import ConfigError
from mssdf.registry import TRANSFORMS

from .base import Results, map_planes, window_shape

# A part that is mostly invalid is drawn again, so often; then the whole window is taken.
MAX_DRAWS = 10


@TRANSFORMS.register_module()
class MultiModalRandomResizedCrop:
    """A random part of the window, cut out of all modalities and validities and resized.

    Values are interpolated bilinearly (averaged over areas where the part is larger than the
    output), invalid pixels left out; validity goes by the nearest pixel. Heights keep their unit.

    Args:
        size: side of the output in pixels, or (height, width).
        scale: smallest and largest area of the part, as shares of the window.
        ratio: smallest and largest width over height of the part.
        min_valid: share of the part that has to be valid in some modality.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        min_valid: float = 0.5,
    ) -> None:
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if min(self.size) < 1:
            raise ConfigError('size', 'at least 1 pixel', size)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ConfigError('scale', '0 < smallest <= largest <= 1', scale)
        if not 0 < ratio[0] <= ratio[1]:
            raise ConfigError('ratio', '0 < smallest <= largest', ratio)
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))
        self.min_valid = min_valid

    def __call__(self, results: Results) -> Results:
        """Crop and resize."""
        height, width = window_shape(results)
        for _ in range(MAX_DRAWS):
            top, left, rows, cols = self._draw(results['rng'], height, width)
            part = (..., slice(top, top + rows), slice(left, left + cols))
            if any(
                np.count_nonzero(valid[part]) >= max(1, self.min_valid * rows * cols)
                for valid in results['valid'].values()
            ):
                break
        else:
            part = (..., slice(0, height), slice(0, width))

        resized = {
            modality: resize(image[part], results['valid'][modality][part], self.size)
            for modality, image in results['images'].items()
        }
        results['images'] = {modality: image for modality, (image, _) in resized.items()}
        results['valid'] = {modality: valid for modality, (_, valid) in resized.items()}
        return results

    def _draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
        """Draw top, left, rows, columns of a part; its shape is clipped to the window's."""
        area = height * width * rng.uniform(*self.scale)
        ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        rows = min(height, max(1, round(math.sqrt(area / ratio))))
        cols = min(width, max(1, round(math.sqrt(area * ratio))))
        top, left = rng.integers(height - rows + 1), rng.integers(width - cols + 1)
        return int(top), int(left), rows, cols

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, scale={self.scale}, ratio={self.ratio}, '
            f'min_valid={self.min_valid})'
        )


def resize(
    image: NDArray, valid: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Resize values, weighted with their validity, and validity by the nearest pixel.

    Args:
        image: (C, h, w), uint8, uint16, int16 or float32.
        valid: (h, w).
        size: (H, W).

    Returns:
        (C, H, W) of the same type, zero at invalid pixels, and (H, W).
    """
    if valid.shape == size:
        return image, valid
    known = np.count_nonzero(valid)
    if known == 0:
        return np.zeros((len(image), *size), dtype=image.dtype), np.zeros(size, dtype=bool)
    shrinks = size[0] <= valid.shape[0] and size[1] <= valid.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    target = size[::-1]
    if known == valid.size:
        out = map_planes(lambda plane: cv2.resize(plane, target, interpolation=method), image)
        return out, np.ones(size, dtype=bool)
    ones = valid.view(np.uint8)
    weight = cv2.resize(ones.astype(np.float32), target, interpolation=method)
    nearest = cv2.resize(ones, target, interpolation=cv2.INTER_NEAREST_EXACT).view(bool)
    nearest &= weight > 1e-3
    divisor = np.where(nearest, weight, 1)

    def average(plane: NDArray) -> NDArray:
        # Invalid pixels are zero, so that the sum is that of the valid ones.
        total = cv2.resize(plane.astype(np.float32), target, interpolation=method) / divisor
        if plane.dtype.kind in 'ui':
            np.rint(total, out=total)
        total[~nearest] = 0
        return total.astype(plane.dtype, copy=False)

    return map_planes(average, image), nearest
