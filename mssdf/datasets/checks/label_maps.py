"""The label maps of a built dataset, as its pipeline loads them and as their files hold them."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mmcv.transforms import LoadAnnotations
from numpy.typing import NDArray

from mssdf.errors import FileError, Words, one_line
from mssdf.rasters.read_errors import UnreadableFileError

from ..transforms.load_change import LoadBinaryMask
from ..transforms.load_rasters import read_image
from ..transforms.two_dates import LoadSemanticChange

LOADERS = (LoadAnnotations, LoadBinaryMask, LoadSemanticChange)
# fields of a data sample: the key in the pipeline, and that of the file
FIELDS = dict(
    gt_sem_seg=('gt_seg_map', 'seg_map_path'),
    gt_first=('gt_first', 'seg_map_path'),
    gt_second=('gt_second', 'seg_map_path2'),
)


def leaf_of(dataset: Any, index: int) -> tuple[Any, int]:
    """Find the dataset that a sample comes from, inside datasets that wrap others.

    Args:
        dataset: built dataset, such as a ``ConcatDataset``.
        index: index of the sample in it.

    Returns:
        The innermost dataset and the index of the sample there.
    """
    while True:
        if hasattr(dataset, 'datasets'):
            number, index = dataset._get_ori_dataset_idx(index)
            dataset = dataset.datasets[number]
        elif hasattr(dataset, 'dataset'):
            if hasattr(dataset, '_get_ori_dataset_idx'):
                index = dataset._get_ori_dataset_idx(index)
            dataset = dataset.dataset
        else:
            return dataset, index


def transforms_of(dataset: Any) -> list[Any]:
    """Return the steps of the pipeline of an innermost dataset; none if it has no pipeline."""
    return list(getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))


def label_loader(dataset: Any) -> Any:
    """Find the step of an innermost dataset's pipeline that loads label maps; None without one."""
    for step in transforms_of(dataset):
        if isinstance(step, LOADERS) and getattr(step, 'with_seg', True):
            return step
    return None


def label_maps(
    dataset: Any, name: str, indices: Iterable[int]
) -> Iterator[tuple[NDArray, NDArray]]:
    """Read label maps without the images and without augmentation.

    Args:
        dataset: built dataset.
        name: field of the data samples, a key of ``FIELDS``.
        indices: indices of the samples.

    Yields:
        The labels as the pipeline loads them and the values of the file, both (H, W); samples
        without such a file are left out.

    Raises:
        FileError: if a file cannot be read, as it was cut off.
    """
    key, file_key = FIELDS[name]
    for index in indices:
        leaf, position = leaf_of(dataset, index)
        loader = label_loader(leaf)
        if loader is None:
            return
        info = leaf.get_data_info(position)
        if not info.get(file_key):
            continue
        path = str(info[file_key])
        try:
            values, _ = read_image(path, nodata='ignore')
            loaded = np.asarray(loader(info)[key])
        except Exception as error:  # whatever a decoder raises, mostly without the file's name
            reason = error.reason if isinstance(error, UnreadableFileError) else one_line(error)
            raise FileError(path, 'a label map', Words(reason)) from error
        yield loaded, values[..., 0]
