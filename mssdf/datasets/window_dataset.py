"""The common part of datasets of windows: samples as a function of seed, epoch and index."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import Compose
from torch.utils.data import Dataset, get_worker_info

from mssdf.errors import ConfigError
from mssdf.rasters.failures import FailureLog
from mssdf.rasters.scenes import ModalitySettings, resolve_data_root

from .sample_index import SampleIndex

# How often a sample is drawn again before the data are blamed.
MAX_DRAWS = 1000


class WindowDataset(Dataset, ABC):
    """Windows of scenes, drawn, read and put through a pipeline.

    A transform of the pipeline gets a dict with ``images`` (modality to (C, H, W) array, the layout
    from the file to the network), ``valid`` (modality to (H, W) bool), ``rng`` (the sample's own
    NumPy generator), ``scene`` (name), ``window`` (row, column, height, width in reference pixels)
    and ``files`` (modality to path).

    Args:
        modalities: settings of each modality by name; see
            :class:`~mssdf.rasters.scenes.ModalitySettings`. The order is that of every sample.
        data_root: folder of the data; '' or None takes that of the variable ``MSSDF_DATA``.
        seed: number that, with the epoch and the index, decides everything random about a sample.
        pipeline: transforms, or their configs.
        metainfo: entries to add to the dataset's meta information.
        lazy_init: whether to put finding the data off until the first use.

    Raises:
        ValueError: if there is no modality, or a setting of one is not allowed.
    """

    METAINFO: dict[str, Any] = {}
    _failures: FailureLog

    def __init__(
        self,
        *,
        modalities: Mapping[str, Mapping[str, Any] | None],
        data_root: str | os.PathLike | None = '',
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping[str, Any] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if not modalities:
            raise ConfigError('modalities', 'at least one')
        self.modalities = {
            name: ModalitySettings.from_config(name, config) for name, config in modalities.items()
        }
        self.data_root = resolve_data_root(data_root)
        self.seed = seed
        self.pipeline = Compose(list(pipeline))
        self.lazy_init = lazy_init
        self._metainfo = {**self.METAINFO, 'modalities': tuple(modalities), **(metainfo or {})}
        self._pid: int | None = None
        self._fully_initialized = False

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information: the modalities' names and whatever the config adds."""
        return deepcopy(self._metainfo)

    @abstractmethod
    def full_init(self) -> None:
        """Find the data; once."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the samples of an epoch."""

    @abstractmethod
    def _choose(self, index: int, rng: np.random.Generator, first: bool) -> Any:
        """Choose the window of a sample: first that of the index, after a failure another one."""

    @abstractmethod
    def _read(self, chosen: Any) -> dict[str, Any] | None:
        """Read the pipeline's input without ``rng``; None if the window cannot be had."""

    @abstractmethod
    def _name(self, chosen: Any) -> str:
        """Name a window for an error."""

    def __getitem__(self, index: int | SampleIndex) -> Any:
        """Read and transform a sample.

        Args:
            index: number of the sample and its epoch, of which the sample is a function together
                with the seed; for a number alone the epoch is drawn from NumPy's global state.
        """
        self.full_init()
        self._set_up_process()
        if isinstance(index, SampleIndex):
            index, epoch = index
        else:
            epoch = int(np.random.randint(2**31))
        index = self._check_index(int(index))

        # all draws are of the sample's own generator: no worker's state has a part in it
        rng = np.random.default_rng([self.seed, epoch, index])
        failed_before = self._failures.reads['failed']
        unread = 0
        for attempt in range(MAX_DRAWS):
            chosen = self._choose(index, rng, first=attempt == 0)
            results = self._read(chosen)
            if results is None:
                unread += 1
                continue
            sample = self.pipeline(dict(results, rng=rng))
            if sample is not None:
                return sample

        raise RuntimeError(
            f'index {index}, epoch {epoch}: expected a usable sample in {MAX_DRAWS} draws, found '
            'none: '
            f'{self._failures.reads["failed"] - failed_before} reads failed, {unread} windows were '
            f'unreadable or invalid, the pipeline refused {MAX_DRAWS - unread}; the last was '
            f'{self._name(chosen)}'
        )

    def _check_index(self, index: int) -> int:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f'expected an index below {size}, found {index}')
        return index % size

    def _set_up_process(self) -> None:
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        if get_worker_info() is not None:
            cv2.setNumThreads(0)  # the workers are the parallelism
