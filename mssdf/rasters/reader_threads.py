"""Threads that read rasters in the main process, and that a fork finds at rest."""

import os
from concurrent.futures import ThreadPoolExecutor

_pool: ThreadPoolExecutor | None = None
_pid = 0


def reader_threads() -> ThreadPoolExecutor:
    """Return the threads of this process; they stay until it ends and must not be shut down.

    A thread that ends gives back what PROJ and SQLite keep for it after Python has joined it. A
    data loader that forks just then hands its workers a lock that nobody will open, and they wait
    for ever at their first raster. An idle thread holds no lock.
    """
    global _pool, _pid
    if _pool is None or _pid != os.getpid():  # a fork takes the pool along, but not its threads
        _pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix='mssdf-reader')
        _pid = os.getpid()
    return _pool
