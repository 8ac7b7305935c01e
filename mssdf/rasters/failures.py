"""Failures of reading: files are named once and counted, and too many stop the training."""

import logging
import os
import time
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from mssdf.errors import UsageError

MAX_WORKERS = 256

# A share of reads says nothing before there were some.
MIN_READS = 200


class UnreadableDataError(UsageError, RuntimeError):
    """More files, or reads, failed than the config allows."""


class FailureLog:
    """A count of failed files and reads, across the workers of one data loader.

    Args:
        paths: paths of all files that may be read.
        max_failed_share: largest share of the files, and of the reads, that may fail, 0...1.
    """

    def __init__(self, paths: Sequence[str], max_failed_share: float) -> None:
        self.max_failed_share = max_failed_share
        self._paths = list(paths)
        self._number = {path: i for i, path in enumerate(self._paths)}
        # Shared memory, so that one worker's failures count for all of them.
        self._namer = torch.zeros(len(self._paths), dtype=torch.int64).share_memory_()
        self._recoverer = torch.zeros_like(self._namer).share_memory_()
        self._marker = torch.zeros_like(self._namer).share_memory_()
        # Reads, of these failed, of these good at a later attempt.
        self._reads = torch.zeros(MAX_WORKERS, 3, dtype=torch.int64).share_memory_()

    def count_read(self) -> None:
        """Count a read that is about to happen."""
        self._reads.numpy()[self._row(), 0] += 1  # a row per worker needs no lock

    def note(self, path: str, reason: object, *, read: bool = True) -> None:
        """Count a file that could not be read, and name it the first time.

        Args:
            path: path of the file.
            reason: cause of the failure.
            read: whether this was one of the reads that :meth:`count_read` counts; files that
                cannot be opened at the start are none.

        Raises:
            UnreadableDataError: if too many have failed.
        """
        if read:
            self._reads.numpy()[self._row(), 1] += 1
        self._name_once(
            self._namer, path, f'{path} cannot be read and its windows are drawn again: {reason}'
        )
        self.check()

    def note_recovery(self, path: str, attempt: int, reason: object) -> None:
        """Count a file that was read at a later attempt, and name it the first time."""
        self._reads.numpy()[self._row(), 2] += 1
        self._name_once(
            self._recoverer, path, f'{path} was read at attempt {attempt}, before that: {reason}'
        )

    def note_values(self, path: str, message: str | None) -> None:
        """Name a file whose values are suspicious, the first time; None: it was named before."""
        if message is None:
            self._marker[self._number[path]] = os.getpid()
        else:
            self._name_once(self._marker, path, message)

    def _name_once(self, names: torch.Tensor, path: str, message: str) -> None:
        number = self._number[path]
        if names[number] == 0:
            # Two workers may meet the same file at once: the last to sign names it.
            names[number] = os.getpid()
            time.sleep(0.01)
            if names[number] == os.getpid():
                print_log(message, logger='current', level=logging.WARNING)

    def has_failed(self, path: str) -> bool:
        """Tell whether a file has failed before."""
        return bool(self._namer[self._number[path]])

    @property
    def reads(self) -> dict[str, int]:
        """Numbers of reads: all, failed, and recovered at a later attempt."""
        counts = self._reads.sum(dim=0).tolist()
        return dict(zip(('all', 'failed', 'recovered'), counts, strict=True))

    @property
    def failed(self) -> list[str]:
        """The files that failed so far."""
        return [self._paths[i] for i in torch.nonzero(self._namer).flatten().tolist()]

    def check(self) -> None:
        """Raise :class:`UnreadableDataError` when more than the allowed share has failed."""
        failed, total = self.failed, len(self._paths)
        if len(failed) > self.max_failed_share * total:
            self._stop(f'{len(failed)} of {total} files', len(failed) / total, failed)
        reads, misses, _ = self._reads.sum(dim=0).tolist()
        if reads >= MIN_READS and misses > self.max_failed_share * reads:
            self._stop(f'{misses} of {reads} reads', misses / reads, failed)

    def _stop(self, what: str, share: float, failed: list[str]) -> None:
        names = ', '.join(failed[:10]) + (f' and {len(failed) - 10} more' if failed[10:] else '')
        raise UnreadableDataError(
            f'{what} failed ({share:.1%}), expected at most max_failed_share='
            f'{self.max_failed_share:.1%}: {names}'
        )

    @staticmethod
    def _row() -> int:
        worker = get_worker_info()
        return 0 if worker is None else (worker.id + 1) % MAX_WORKERS
