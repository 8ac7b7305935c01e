"""Progress of the statistics of a dataset, saved on interruption."""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from .pixel_statistics import FineCounts, PixelStatistics

# Name of a modality, and whether its values are relative to the median of their window.
Name = tuple[str, bool]


class StatisticsState:
    """A set of sums over the parts that either pass has read so far.

    Attributes:
        totals, fine, pixels: counts of the first and the second pass, by name.
        done: numbers of the parts that the first and the second pass have read.
        failed: numbers of the parts that could not be read.
    """

    def __init__(self, digest: str = '') -> None:
        self.digest = digest
        self.totals: dict[Name, PixelStatistics] = {}
        self.fine: dict[Name, FineCounts] = {}
        self.pixels: dict[Name, int] = {}
        self.done: tuple[set[int], set[int]] = (set(), set())
        self.failed: set[int] = set()

    def add(self, name: Name, statistics: PixelStatistics, pixels: int) -> None:
        """Add a part of the first pass."""
        if name in self.totals:
            self.totals[name].merge(statistics)
        else:
            self.totals[name] = statistics
        self.pixels[name] = self.pixels.get(name, 0) + pixels

    def start_second_pass(self, percentiles: Sequence[float]) -> None:
        """Prepare the counts of the values that need a second pass, unless it has begun."""
        for name, total in self.totals.items():
            if total.shift and name not in self.fine:
                self.fine[name] = FineCounts(total.wanted_bins(percentiles))

    def save(self, path: str | os.PathLike) -> None:
        """Write the state, under a temporary name first."""
        arrays: dict[str, NDArray] = dict(
            digest=np.array(self.digest),
            failed=np.array(sorted(self.failed), dtype=np.int64),
            done0=np.array(sorted(self.done[0]), dtype=np.int64),
            done1=np.array(sorted(self.done[1]), dtype=np.int64),
        )
        for name, total in self.totals.items():
            key = f'{name[0]}/{int(name[1])}'
            arrays[f'{key}/dtype'] = np.array(total.dtype.name)
            arrays[f'{key}/pixels'] = np.array(self.pixels[name])
            for attribute in PixelStatistics.ARRAYS:
                arrays[f'{key}/{attribute}'] = getattr(total, attribute)
            for band in range(total.bands if name in self.fine else 0):
                arrays[f'{key}/bins{band}'] = self.fine[name].bins[band]
                arrays[f'{key}/counts{band}'] = self.fine[name].counts[band]
        temporary = Path(f'{path}.{os.getpid()}')
        with open(temporary, 'wb') as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str | os.PathLike, digest: str) -> 'StatisticsState':
        """Load a state, if the file has the same data and settings; else start from zero."""
        state = cls(digest)

        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
        except FileNotFoundError:
            return state
        except (OSError, ValueError) as error:
            print_log(f'{path} cannot be read: {error}', logger='current', level=logging.WARNING)
            return state

        if str(arrays['digest']) != digest:
            return state
        state.failed.update(arrays['failed'].tolist())
        for i in (0, 1):
            state.done[i].update(arrays[f'done{i}'].tolist())

        for key in [key.removesuffix('/dtype') for key in arrays if key.endswith('/dtype')]:
            modality, relative = key.rsplit('/', 1)
            name = modality, bool(int(relative))
            bands = len(arrays[f'{key}/count'])
            total = PixelStatistics(bands, str(arrays[f'{key}/dtype']))
            for attribute in PixelStatistics.ARRAYS:
                setattr(total, attribute, arrays[f'{key}/{attribute}'])
            state.totals[name], state.pixels[name] = total, int(arrays[f'{key}/pixels'])

            if f'{key}/bins0' in arrays:
                fine = FineCounts([arrays[f'{key}/bins{band}'] for band in range(bands)])
                fine.counts = [arrays[f'{key}/counts{band}'] for band in range(bands)]
                state.fine[name] = fine

        return state


def digest_of(*facts: object) -> str:
    """Hash all facts that a state depends on."""
    return hashlib.sha256('\n'.join(map(repr, facts)).encode()).hexdigest()
