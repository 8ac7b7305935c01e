"""Memory and open files of a process and its children, watched from outside through /proc."""

import csv
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

MIB = 2**20

# What the allocators of C, Python and PyTorch keep or give back at a time, in MiB: memory that
# moves by less than this between the start and the end of a window says nothing.
ALLOCATOR_MIB = 4.0


@dataclass(frozen=True)
class Sample:
    """One look at a process and all that descends from it.

    Attributes:
        seconds: since the first look.
        main_mib, children_mib: resident memory; pages that processes share count in each.
        pss_mib: resident memory of all, in which shared pages count once.
        children: how many there are.
        main_files, child_files: open file handles, of the child that has most.
        child_rasters: of these, TIFFs.
    """

    seconds: float
    main_mib: float
    children_mib: float
    pss_mib: float
    children: int
    main_files: int
    child_files: int
    child_rasters: int


def descendants(pid: int) -> list[int]:
    """All children of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                text = Path('/proc', entry, 'stat').read_text()
            except OSError:
                continue  # it has ended meanwhile
            # the name in brackets may hold anything, blanks and brackets included
            parents.setdefault(int(text.rpartition(')')[2].split()[1]), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _kib(path: str, key: str) -> int:
    with open(path) as lines:
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1])
    return 0  # a process that has just ended


def open_files(pid: int) -> list[str]:
    """What the file handles of a process stand for."""
    folder = f'/proc/{pid}/fd'
    names = []
    for handle in os.listdir(folder):
        try:
            names.append(os.readlink(f'{folder}/{handle}'))
        except OSError:
            continue
    return names


def look(pid: int, started: float) -> Sample:
    """Look once.

    Raises:
        OSError: when the process has ended.
    """
    main = _kib(f'/proc/{pid}/status', 'VmRSS:')
    pss = _kib(f'/proc/{pid}/smaps_rollup', 'Pss:')
    children = rss = files = rasters = 0
    for child in descendants(pid):
        try:
            mine = open_files(child)
            rss += _kib(f'/proc/{child}/status', 'VmRSS:')
            pss += _kib(f'/proc/{child}/smaps_rollup', 'Pss:')
        except OSError:
            continue
        children += 1
        files = max(files, len(mine))
        rasters = max(rasters, sum(name.endswith('.tif') for name in mine))
    return Sample(
        seconds=round(time.monotonic() - started, 2),
        main_mib=main / 1024,
        children_mib=rss / 1024,
        pss_mib=pss / 1024,
        children=children,
        main_files=len(open_files(pid)),
        child_files=files,
        child_rasters=rasters,
    )


def watch(
    pid: int,
    seconds: float,
    path: Path,
    every: float = 10.0,
    alive: Callable[[], bool] = lambda: True,
) -> list[Sample]:
    """Look every so often until time is up or the process has ended; each look goes to a CSV."""
    samples: list[Sample] = []
    started = time.monotonic()
    with open(path, 'w', newline='') as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(Sample)])
        table.writeheader()
        while alive() and time.monotonic() - started < seconds:
            try:
                samples.append(look(pid, started))
            except OSError:
                break
            table.writerow(asdict(samples[-1]))
            stream.flush()
            next_look = started + len(samples) * every
            time.sleep(max(0.0, min(next_look - time.monotonic(), every)))
    return samples


@dataclass(frozen=True)
class Growth:
    """How memory moves along a straight line, and how much of that is allowed.

    Attributes:
        median: of the memory, MiB.
        grown: along the line from the first to the last sample, MiB.
        per_hour: the line's slope, MiB per hour.
        noise: spread of the samples about the line, MiB (1.4826 times the median deviation).
        allowed: how much ``grown`` may be.
    """

    median: float
    grown: float
    per_hour: float
    noise: float
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether it does not grow."""
        return self.grown <= self.allowed


def growth(seconds: Sequence[float], mib: Sequence[float], share_per_hour: float = 0.01) -> Growth:
    """Fit the line of Theil and Sen: the median of the slopes between all pairs of samples.

    A few samples that stick out (a checkpoint being written, an evaluation) do not turn it. Allowed
    are ``share_per_hour`` of the memory per hour, what the allocators move at a time, and the
    noise: a leak is a straight line, about which the samples lie close, and raises neither.
    """
    x, y = np.asarray(seconds, float), np.asarray(mib, float)
    first, second = np.triu_indices(len(x), k=1)
    slope = float(np.median((y[second] - y[first]) / (x[second] - x[first])))
    rest = y - slope * x
    noise = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    length, median = float(x[-1] - x[0]), float(np.median(y))
    return Growth(
        median=median,
        grown=slope * length,
        per_hour=slope * 3600,
        noise=noise,
        allowed=share_per_hour * median * length / 3600 + ALLOCATOR_MIB + noise,
    )


def draw(samples: Sequence[Sample], path: Path, warm_up: float) -> None:
    """Draw memory and open files over time; gray is the warm-up, which is not judged."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    minutes = [sample.seconds / 60 for sample in samples]
    figure, (memory, files) = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
    for name, label in (
        ('main_mib', 'main process'),
        ('children_mib', 'workers, summed'),
        ('pss_mib', 'all, shared pages once'),
    ):
        memory.plot(minutes, [getattr(sample, name) for sample in samples], label=label)
    memory.set(ylabel='resident memory (MiB)', ylim=(0, None))
    for name, label in (
        ('main_files', 'main process'),
        ('child_files', 'worker with most'),
        ('child_rasters', 'of these, rasters'),
    ):
        files.plot(minutes, [getattr(sample, name) for sample in samples], label=label)
    files.set(xlabel='minutes', ylabel='open files', ylim=(0, None))
    for axes in (memory, files):
        axes.axvspan(0, warm_up / 60, color='0.9')
        axes.legend(loc='lower right')
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
