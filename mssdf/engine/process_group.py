"""End of distributed work without a deadlock in torch."""

from typing import Any

import torch.distributed as dist

_left: list[Any] = []


def leave_process_group() -> None:
    """Destroy the process groups, if there are any, even if objects still refer to them.

    A model in ``DistributedDataParallel`` that outlives ``destroy_process_group`` is the only owner
    of the group. Freeing the model then frees the group while Python's lock is held and waits for
    gloo's threads, while a thread that frees the tensors of the last collective waits for the lock:
    a deadlock (seen with torch 2.11). The group is therefore kept here until the interpreter ends,
    which releases the lock before it frees the group.
    """
    if dist.is_available() and dist.is_initialized():
        _left.append(dist.group.WORLD)
        dist.destroy_process_group()
