"""Numbers of pixels of each class in label maps."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mssdf.datasets.transforms.two_dates import read_labels
from mssdf.utils.progress import track


def count_labels(path: Path) -> NDArray[np.int64]:
    """Count the pixels of each value in a label map."""
    return np.bincount(read_labels(str(path)).ravel(), minlength=256)


def count_all(paths: Sequence[Path], workers: int) -> NDArray[np.int64]:
    """Count the pixels of each value, (N, 256), in all label maps."""
    if workers == 0:
        return np.stack(list(track(map(count_labels, paths), len(paths), 'label maps')))
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        counts = pool.map(count_labels, paths, chunksize=16)
        return np.stack(list(track(counts, len(paths), 'label maps')))
