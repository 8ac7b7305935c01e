"""Labels and augmentation of two dates."""

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mssdf.registry import TRANSFORMS

from .load_rasters import read_image

IGNORE = 255


def read_labels(path: str) -> NDArray[np.uint8]:
    """Read a map of labels (H, W).

    Raises:
        ValueError: if it has more than one band, unlike a label map, or values that are no labels.
    """
    values, _ = read_image(path, nodata='ignore', colors=False)
    if values.shape[2] != 1:
        raise ValueError(several_bands(path, values.shape[2]))
    labels = values[..., 0].astype(np.uint8)
    check_kept(path, values[..., 0], labels)
    return labels


def several_bands(path: str, bands: int) -> str:
    """Describe that a file is no label map, as it has several bands."""
    return (
        f'{path}: expected a label map of 1 band (indices), found {bands} '
        '(colors? tools/dataset_tools/convert_masks.py converts them)'
    )


def check_kept(path: str, values: NDArray, labels: NDArray[np.uint8]) -> None:
    """Hold labels of 8 bits against the values that they were made of; -1 and the like are unknown.

    Args:
        path: label map, for the error.
        values: (H, W) values of the file, of any type.
        labels: (H, W) the same as 8 bits.

    Raises:
        ValueError: if a value was changed, such as 256 to 0 or 0.5 to 0.
    """
    changed = (values != labels) & (labels != IGNORE)
    if changed.any():
        found = np.unique(values[changed])[:5].tolist()
        raise ValueError(f'{path}: expected labels from 0 to {IGNORE}, found {found}')


@TRANSFORMS.register_module()
class LoadSemanticChange(BaseTransform):
    """A loader of the land covers of two dates; what changed follows from them.

    Required keys: ``seg_map_path`` and ``seg_map_path2``: label maps of 0 (unchanged), 1 ... K,
    255 (unknown). Added keys: ``gt_first``, ``gt_second`` and ``gt_seg_map`` (1 where either is
    labeled, 255 where either is unknown), and their names in ``seg_fields``.

    Args:
        num_classes: K.

    Raises:
        ValueError: for a label that there is not, or maps of different sizes.
    """

    def __init__(self, num_classes: int = 6) -> None:
        self.num_classes = num_classes

    def transform(self, results: dict) -> dict:
        """Load."""
        maps = []
        for key in ('seg_map_path', 'seg_map_path2'):
            labels = read_labels(results[key])
            wrong = np.unique(labels[(labels > self.num_classes) & (labels != IGNORE)])
            if wrong.size:
                raise ValueError(
                    f'{results[key]}: expected labels 0 to {self.num_classes} and {IGNORE}, found '
                    f'{wrong[:5].tolist()}'
                )
            maps.append(labels)

        first, second = maps
        if first.shape != second.shape:
            raise ValueError(
                f'{results["seg_map_path2"]}: expected {first.shape} pixels as at the first date, '
                f'found {second.shape}'
            )

        changed = ((first > 0) | (second > 0)).astype(np.uint8)
        changed[(first == IGNORE) | (second == IGNORE)] = IGNORE
        for name, labels in (('gt_seg_map', changed), ('gt_first', first), ('gt_second', second)):
            results[name] = labels
            results.setdefault('seg_fields', []).append(name)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes})'


@TRANSFORMS.register_module()
class RandomSwapDates(BaseTransform):
    """A random swap of the two dates of an image of 2C bands, and of their labels.

    Modified keys: ``img``; ``gt_first`` and ``gt_second``, if there.

    Args:
        prob: probability of swapping.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Reverse the dates with the given probability."""
        if np.random.random() >= self.prob:
            return results
        image = results['img']
        half = image.shape[2] // 2
        results['img'] = np.concatenate([image[..., half:], image[..., :half]], axis=2)
        if 'gt_first' in results:
            results['gt_first'], results['gt_second'] = results['gt_second'], results['gt_first']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
