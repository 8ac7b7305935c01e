"""Many independent jobs in several processes, some of which may be done already."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from mssdf.utils.progress import track

Job = TypeVar('Job')


def run_jobs(
    work: Callable[[Job], str], jobs: Sequence[Job], workers: int, what: str
) -> dict[str, int]:
    """Do all jobs, with a progress bar.

    Args:
        work: function of a module that does one job and returns a word on the result, such as
            ``'written'`` or ``'there'``.
        jobs: jobs to do.
        workers: number of processes; 0 works in this one.
        what: name of the jobs, for the progress bar.

    Returns:
        Number of times that each word was returned.

    Raises:
        Exception: if ``work`` raises; finished jobs are kept.
    """
    counts: dict[str, int] = {}
    if workers == 0:
        results = map(work, jobs)
        for word in track(results, len(jobs), what):
            counts[word] = counts.get(word, 0) + 1
        return counts
    # Processes are not forked, as GDAL's and PROJ's threads and locks would be copied.
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        try:
            for word in track(pool.map(work, jobs), len(jobs), what):
                counts[word] = counts.get(word, 0) + 1
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return counts
