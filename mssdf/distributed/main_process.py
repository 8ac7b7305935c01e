"""Work that rank 0 does before the others."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import barrier, is_main_process


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let rank 0 do what is inside before the others do, such as filling a cache for them.

    After an error on rank 0 the others go on and meet it themselves instead of waiting for ever.
    """
    main = is_main_process()
    if not main:
        barrier()

    try:
        yield
    except Exception:
        if main:
            barrier()
        raise

    if main:
        barrier()
