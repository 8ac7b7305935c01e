"""All files of a task's dataset by their headers, and pixels of a sample of them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mssdf.errors import MissingFileError
from mssdf.utils.progress import track

from ..transforms.two_dates import read_labels
from .delivered import check_delivered
from .label_maps import leaf_of
from .sample_files import IMAGES, SampleFiles, check_sample_files

WIDE_MAPS = 256  # label maps of more than 8 bits whose pixels are read
THREADS = 4


def check_files(dataset: Any, num_samples: int) -> None:
    """Check the files of a built dataset before anything is trained on them.

    The headers of all files are read, and the pixels of some images, one of each kind among them:
    what the pipeline delivers has to be what the file holds.

    Args:
        dataset: built dataset of mmpretrain, mmseg, mmdet or mmrotate, or one around others.
        num_samples: images whose pixels are compared.

    Raises:
        FileNotFoundError: if a file is missing, such as one of two dates.
        ValueError: if a file does not fit its image, its annotation or its loader.
    """
    for leaf in leaves_of(dataset):
        check_dates(leaf)
    found = _read_headers(dataset)
    _check_counts(found)
    wide = [path for files in found for path in files.wide]
    for place in _spread(len(wide), WIDE_MAPS):
        read_labels(wide[place])
    kinds: dict[tuple[Any, ...], int] = {}
    for index, files in enumerate(found):
        kinds.setdefault(files.kind, index)
    for index in sorted({*kinds.values(), *_spread(len(found), num_samples)}):
        check_delivered(dataset, index)


def leaves_of(dataset: Any) -> Iterator[Any]:
    """Collect the datasets that a dataset is made of; itself if it wraps none."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for each in inner:
        if each is None:
            yield dataset
        else:
            yield from leaves_of(each)


def check_dates(leaf: Any) -> None:
    """See that each file of the second date goes with one of the first: others are not listed.

    Raises:
        FileNotFoundError: if the first date lacks one.
    """
    prefix = getattr(leaf, 'data_prefix', None) or {}
    folders = [prefix[key] for key in IMAGES if prefix.get(key)]
    if getattr(leaf, 'ann_file', '') or len(folders) < 2 or not all(map(os.path.isdir, folders)):
        return
    endings = [leaf.img_suffix, getattr(leaf, 'img_suffix2', leaf.img_suffix)]
    first, second = map(_names, folders, endings)
    lacking = sorted(second - first)
    if lacking:
        paths = [
            Path(folder, lacking[0] + ending)
            for folder, ending in zip(folders, endings, strict=True)
        ]
        others = f' ({len(lacking)} such)' if len(lacking) > 1 else ''
        raise MissingFileError(paths[0], f'a file to go with {paths[1]}{others}')


def _names(folder: str, ending: str) -> set[str]:
    """List names without their ending, below a folder; hidden files are none."""
    return {
        path.relative_to(folder).as_posix().removesuffix(ending)
        for path in Path(folder).rglob(f'*{ending}')
        if not path.name.startswith('.')
    }


def _read_headers(dataset: Any) -> list[SampleFiles]:
    def check(index: int) -> SampleFiles:
        leaf, position = leaf_of(dataset, index)
        return check_sample_files(leaf, leaf.get_data_info(position))

    length = len(dataset)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            return list(track(pool.map(check, range(length)), length, 'headers of files'))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _check_counts(found: Iterable[SampleFiles]) -> None:
    """See that images that are read whole have one number of bands, as a batch needs."""
    first: Sequence[tuple[str, int]] = ()
    for files in found:
        first = first or files.counts
        for (path, bands), (other, expected) in zip(files.counts, first, strict=False):
            if bands != expected:
                raise ValueError(f'{path}: expected {expected} bands as in {other}, found {bands}')


def _spread(length: int, number: int) -> list[int]:
    """Choose indices evenly spread over a length."""
    if not length:
        return []
    return np.unique(np.linspace(0, length - 1, number).round().astype(int)).tolist()
