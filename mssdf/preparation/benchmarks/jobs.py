"""Many independent pieces of work, in several processes, each of which may be done already."""

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
        work: does one and says what became of it, such as ``'written'`` or ``'there'``; of a
            module, so that other processes find it.
        jobs: of them.
        workers: processes; 0 works in this one.
        what: they are, for the progress bar.

    Returns:
        How often each word was said.

    Raises:
        Exception: the first that ``work`` raises; what was done before stays done.
    """
    counts: dict[str, int] = {}
    if workers == 0:
        results = map(work, jobs)
        for word in track(results, len(jobs), what):
            counts[word] = counts.get(word, 0) + 1
        return counts
    # not forked: GDAL's and PROJ's threads and locks would be, too
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        try:
            for word in track(pool.map(work, jobs), len(jobs), what):
                counts[word] = counts.get(word, 0) + 1
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return counts
