"""Random changes of an orthophoto's colors."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mssdf.errors import ConfigError, UnknownKeyError
from mssdf.registry import TRANSFORMS

from .base import Results

# Luma of ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114])


@TRANSFORMS.register_module()
class MultiModalColorJitter:
    """A random change of brightness, contrast and saturation of one modality.

    Brightness b multiplies, contrast c stretches about the mean gray of the valid pixels,
    saturation s stretches each pixel about its own gray; b, c and s are drawn from 1 ± the given
    value. Values stay within 0 … 255 for 8-bit images and otherwise within the window's own range
    of valid values, which takes the place of 0 … 255. Invalid pixels stay zero.

    Args:
        brightness, contrast, saturation: half-widths of the factors' ranges; 0 leaves as is.
        modality: name of the modality with red, green and blue, in this order.
        prob: probability of any change.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        modality: str = 'rgb',
        prob: float = 1.0,
    ) -> None:
        self.strengths = (float(brightness), float(contrast), float(saturation))
        if min(self.strengths) < 0:
            raise ConfigError('brightness, contrast, saturation', '0 or more', self.strengths)
        if not 0 <= prob <= 1:
            raise ConfigError('prob', 'a probability from 0 to 1', prob)
        self.modality = modality
        self.prob = prob

    def __call__(self, results: Results) -> Results:
        """Change the colors."""
        # Drawn for a missing modality too: what follows must not depend on it.
        chance, *draws = results['rng'].uniform(-1, 1, size=4)
        image, valid = self._find(results)
        if (chance + 1) / 2 >= self.prob or not valid.any():
            return results
        factors = [
            max(0.0, 1 + draw * strength)
            for draw, strength in zip(draws, self.strengths, strict=True)
        ]
        changed = jitter(image, valid, *factors)
        results['images'] = {**results['images'], self.modality: changed}
        return results

    def _find(self, results: Results) -> tuple[NDArray, NDArray[np.bool_]]:
        image = results['images'].get(self.modality)
        if image is None:
            raise UnknownKeyError('modality', f'one of {list(results["images"])}', self.modality)
        if len(image) != 3:
            raise ConfigError(
                f'modality {self.modality!r}',
                '3 bands (red, green, blue) for color jitter',
                len(image),
            )
        return image, results['valid'][self.modality]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(brightness, contrast, saturation={self.strengths}, '
            f'modality={self.modality!r}, prob={self.prob})'
        )


def jitter(
    image: NDArray,
    valid: NDArray[np.bool_],
    brightness: float,
    contrast: float,
    saturation: float,
) -> NDArray:
    """Apply the three factors in one affine map of the colors, so that nothing clips between.

    Args:
        image: (3, H, W).
        valid: (H, W), true somewhere.
        brightness: factor; 1 leaves as is.
        contrast: factor.
        saturation: factor.

    Returns:
        (3, H, W) of the same type.
    """
    image = cv2.merge(list(image))  # (H, W, 3), as OpenCV's color functions want it
    whole = np.count_nonzero(valid) == valid.size
    inside = None if whole else valid.astype(np.uint8)
    mean = float(np.dot(LUMA, cv2.mean(image, mask=inside)[:3]))

    # what takes the place of 0 … 255 in other types than uint8
    low = high = 0.0
    if image.dtype != np.uint8:
        pixels = image if whole else image[valid]
        low, high = float(pixels.min()), float(pixels.max())
    gray = brightness * (mean - low)
    saturate = saturation * np.eye(3) + (1 - saturation) * LUMA  # each row mixes in the gray
    matrix = contrast * brightness * saturate
    # In values above ``low``: x' = matrix · x + (1 - contrast) · gray.
    shift = (1 - contrast) * gray + low - matrix.sum(axis=1) * low

    out = cv2.transform(image, np.column_stack([matrix, shift]))
    if image.dtype != np.uint8:
        low_, high_ = (out.dtype.type(value) for value in (low, high))
        np.clip(out, low_, high_, out=out)
    if not whole:
        out[~valid] = 0
    return np.stack(cv2.split(out))
