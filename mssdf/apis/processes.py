"""Processes that work together, before and without MMEngine's help."""

import os
from typing import Any

from .errors import UsageError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def is_main() -> bool:
    """Whether this process speaks for all, before they know each other."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    return all(os.environ.get(name, '0') == '0' for name in names)


def say(message: str) -> None:
    """Print once, not once per rank."""
    if is_main():
        print(message, flush=True)


def set_up_cpu_processes(config: Any) -> None:
    """Let several processes work without a GPU, which MMEngine by itself does not.

    Raises:
        UsageError: for another launcher than torchrun.
    """
    import torch

    if config.launcher == 'none' or torch.cuda.is_available():
        return
    if config.launcher != 'pytorch':
        raise UsageError(
            f'--launcher {config.launcher}: needs GPUs, and PyTorch sees none; on CPUs use '
            'torchrun and --launcher pytorch'
        )
    torch.distributed.init_process_group('gloo')  # MMEngine's own would look for a GPU
    config.env_cfg = dict(config.get('env_cfg') or {}, dist_cfg=dict(backend='gloo'))
    if config.get('sync_bn'):
        say('Without a GPU, each process takes the statistics of batch norm from its own samples.')
        config.sync_bn = None
    config.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': config.get('find_unused_parameters', False),
        **(config.get('model_wrapper_cfg') or {}),
        'device_ids': None,  # and name one
    }
