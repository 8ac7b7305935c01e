"""The end of distributed work, without the deadlock that torch has there."""

from typing import Any

import torch.distributed as dist

_left: list[Any] = []


def leave_process_group() -> None:
    """Destroy the process groups, if there are any, whatever still refers to them.

    A model in ``DistributedDataParallel`` that outlives ``destroy_process_group`` owns the group
    alone. Freeing the model then frees the group while Python's lock is held, and waits for gloo's
    threads; a thread that is about to free the tensors of the last collective waits for that lock.
    Neither goes on (seen with torch 2.11). The group is kept here until the interpreter ends, which
    gives the lock away before it frees it.
    """
    if dist.is_available() and dist.is_initialized():
        _left.append(dist.group.WORLD)
        dist.destroy_process_group()
