"""Masks of two values, such as labels of binary change detection as they are published."""

import numpy as np
from mmcv.transforms import BaseTransform

from mssdf.registry import TRANSFORMS

from .two_dates import read_labels


@TRANSFORMS.register_module()
class LoadBinaryMask(BaseTransform):
    """A loader of masks of two values, such as 0 and 255, as the labels 0 and 1.

    In the place of mmseg's ``LoadAnnotations``, which takes 255 for unknown.

    Required key: ``seg_map_path``. Added key: ``gt_seg_map`` (H, W) uint8: 0, 1 where the file has
    the foreground's value, 255 where that is not known; its name in ``seg_fields``.

    Args:
        foreground: value of the second class in the file; the first one is 0.
        unknown: value of pixels that are not labeled, if there are any.

    Raises:
        ValueError: for any other value, or a file of several bands.
    """

    name = 'foreground'

    def __init__(self, foreground: int = 255, unknown: int | None = None) -> None:
        self.foreground = foreground
        self.unknown = unknown

    def transform(self, results: dict) -> dict:
        """Load."""
        path = results['seg_map_path']
        values = read_labels(path)
        expected = [0, self.foreground] + ([] if self.unknown is None else [self.unknown])
        wrong = np.unique(values[~np.isin(values, expected)])
        if wrong.size:
            raise ValueError(
                f'{path}: expected the values {expected} ({self.name}={self.foreground}), found '
                f'{wrong[:5].tolist()}'
            )
        labels = (values == self.foreground).astype(np.uint8)
        if self.unknown is not None:
            labels[values == self.unknown] = 255
        results['gt_seg_map'] = labels
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name}={self.foreground}, unknown={self.unknown})'


@TRANSFORMS.register_module()
class LoadChange(LoadBinaryMask):
    """A loader of maps of what changed between two dates.

    Args:
        changed: value of changed pixels in the file (255 in LEVIR-CD and WHU-CD); unchanged ones
            are 0.
        unknown: value of pixels that are not labeled, if there are any.
    """

    name = 'changed'

    def __init__(self, changed: int = 255, unknown: int | None = None) -> None:
        super().__init__(changed, unknown)
