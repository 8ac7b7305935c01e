"""Transforms of the bands of an image of any number of them."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mssdf.errors import ConfigError, Words
from mssdf.registry import TRANSFORMS


@TRANSFORMS.register_module()
class NormalizeBands(BaseTransform):
    """A normalization of each band, in place of the data preprocessor's.

    Modified key: ``img`` (H, W, C) to float32.

    Args:
        mean: mean of each band, in the image's unit.
        std: deviation of each band, positive.
        relative_to_median: bands, from 0, of which the median of the image's known pixels is
            subtracted first (a surface model, as in pre-training).
        keep_nodata: leave NaN at nodata, for a backbone that tells it from values
            (``mssdf.MultiModalVisionTransformer``); else nodata becomes 0.

    Raises:
        ValueError: if the numbers do not fit each other, or the image.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        relative_to_median: Sequence[int] = (),
        keep_nodata: bool = False,
    ) -> None:
        if len(mean) != len(std) or not len(mean) or min(std) <= 0:
            raise ConfigError(
                'std', 'as many positive numbers as mean, one per band', Words(f'{mean} and {std}')
            )
        outside = [band for band in relative_to_median if not 0 <= band < len(mean)]
        if outside:
            raise ConfigError('relative_to_median', f'bands from 0 to {len(mean) - 1}', outside)
        self.mean = np.asarray(mean, np.float32)
        self.std = np.asarray(std, np.float32)
        self.relative_to_median = list(relative_to_median)
        self.keep_nodata = keep_nodata

    def transform(self, results: dict) -> dict:
        """Normalize."""
        image = results['img'].astype(np.float32)
        if image.ndim != 3 or image.shape[2] != len(self.mean):
            raise ValueError(
                f'{results.get("img_path")}: expected {len(self.mean)} bands (one mean each), '
                f'found an image of shape {image.shape}'
            )
        for band in self.relative_to_median:
            heights = image[..., band]
            known = heights[np.isfinite(heights)]
            if known.size:
                image[..., band] -= np.median(known)

        image = (image - self.mean) / self.std
        nodata = np.float32(np.nan if self.keep_nodata else 0)
        results['img'] = np.where(np.isfinite(image), image, nodata)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(mean={self.mean.tolist()}, std={self.std.tolist()}, '
            f'keep_nodata={self.keep_nodata})'
        )


@TRANSFORMS.register_module()
class DropBands(BaseTransform):
    """A transform that makes bands nodata, as if their modality were missing.

    It stands before ``NormalizeBands``.

    Modified key: ``img`` (H, W, C), float32.

    Args:
        bands: from 0.
        prob: probability of doing so.
    """

    def __init__(self, bands: Sequence[int], prob: float = 1.0) -> None:
        self.bands = list(bands)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Drop."""
        if np.random.random() < self.prob:
            image = results['img'].astype(np.float32)
            image[..., self.bands] = np.nan
            results['img'] = image
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(bands={self.bands}, prob={self.prob})'
