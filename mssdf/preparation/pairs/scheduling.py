"""Processing of tiles in many processes, on this machine or on a cluster, with Dask."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from mssdf.errors import one_line

Job = TypeVar('Job')
Result = TypeVar('Result')

INSTALL = "pip install 'mssdf[preparation]'"
# Number of jobs per worker that wait at once: enough to keep it busy, and few to keep in memory.
AHEAD = 3
# Number of retries of a job whose process died.
RETRIES = 1


def run_everywhere(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    scheduler: str | None = None,
    memory_limit: str | None = None,
    on_lost: Callable[[Job, str], Result],
) -> Iterator[Result]:
    """Do all jobs, and yield each result as soon as it is ready.

    Args:
        work: function of a module that does one job.
        jobs: jobs to do.
        workers: number of processes of a local cluster; 0 works in this one, without Dask.
        scheduler: address of a running Dask scheduler, whose workers see the same files.
        memory_limit: memory of each local process, such as ``'4GiB'``; Dask restarts a process that
            exceeds it. None gives each an equal share.
        on_lost: function that makes the result of a job whose workers died repeatedly.

    Raises:
        ImportError: if Dask is missing; the error has the command that installs it.
    """
    if workers == 0 and scheduler is None:
        yield from map(work, jobs)
        return

    try:
        import dask
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(f'several processes: expected Dask, found none: {INSTALL}') from error

    if scheduler is not None:
        with Client(scheduler, timeout='30s') as client:
            yield from _run(client, work, jobs, on_lost)
        return

    with (
        dask.config.set({'distributed.scheduler.allowed-failures': RETRIES}),
        LocalCluster(
            n_workers=max(1, min(workers, len(jobs))),
            threads_per_worker=1,
            processes=True,
            memory_limit=memory_limit or 'auto',
            dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield from _run(client, work, jobs, on_lost)


def _run(
    client: Any,
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    on_lost: Callable[[Job, str], Result],
) -> Iterator[Result]:
    from dask.distributed import KilledWorker, as_completed

    waiting = iter(jobs)
    open_jobs: dict[Any, Job] = {}
    done = as_completed()

    def hand_out(number: int) -> None:
        for _, job in zip(range(number), waiting, strict=False):
            future = client.submit(work, job, pure=False, retries=0)
            open_jobs[future] = job
            done.add(future)

    hand_out(AHEAD * max(1, len(client.nthreads())))
    for future in done:
        job = open_jobs.pop(future)
        try:
            result = future.result()
        except KilledWorker as error:
            result = on_lost(job, one_line(error))
        future.release()
        hand_out(1)
        yield result
