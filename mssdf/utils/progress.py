"""Progress display for operations of more than a few seconds."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from mmengine.logging import print_log
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar('T')

QUIET_SECONDS = 2.0
LOG_SECONDS = 30.0


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield items; after two seconds show a bar, or log lines if there is no terminal."""
    if sys.stderr.isatty():
        yield from _track_bar(items, total, what)
        return
    start = said = time.monotonic()
    wait = QUIET_SECONDS
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > wait and done < total:
            left = (now - start) / done * (total - done)
            print_log(
                f'{what}: {done} of {total}, {left:.0f} s left',
                logger='current',
                level=logging.INFO,
            )
            said, wait = now, LOG_SECONDS


def _track_bar(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    from rich.console import Console

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('left'),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, visible=False)
        for item in items:
            yield item
            late = time.monotonic() - start > QUIET_SECONDS
            progress.update(task, advance=1, visible=late)
