"""Processes that work together, before and without MMEngine."""

import os
import re
from datetime import timedelta
from typing import Any

from mssdf.errors import UsageError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def is_main() -> bool:
    """Tell whether this process is the main one, before the processes are connected."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    return all(os.environ.get(name, '0') == '0' for name in names)


def say(message: str) -> None:
    """Print a message once, not on every rank."""
    if is_main():
        print(message, flush=True)


def read_slurm_variables() -> None:
    """Set PyTorch's variables from Slurm's: rank, number of processes, address.

    ``MASTER_ADDR`` and ``MASTER_PORT`` are kept if they are set; otherwise they are the first node
    of the job and a port that follows from the job's number.

    Raises:
        UsageError: if srun did not start this process.
    """
    missing = [name for name in ('SLURM_PROCID', 'SLURM_NTASKS') if name not in os.environ]
    if missing:
        raise UsageError(f'--launcher slurm: expected to be started by srun, found no {missing[0]}')
    if 'MASTER_ADDR' not in os.environ:
        nodes = os.environ.get('SLURM_STEP_NODELIST') or os.environ.get('SLURM_JOB_NODELIST', '')
        os.environ['MASTER_ADDR'] = first_node(nodes)
    job = int(os.environ.get('SLURM_JOB_ID', '0'))
    os.environ.setdefault('MASTER_PORT', str(20000 + job % 20000))
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    os.environ['LOCAL_RANK'] = os.environ.get('SLURM_LOCALID', '0')


def first_node(nodes: str) -> str:
    """Return the first host of a list in Slurm's notation, such as ``gpu[03-07,11],big1``."""
    first = re.match(r'(?:[^,\[]|\[[^\]]*\])+', nodes)
    return re.sub(r'\[(\w+)[^\]]*\]', r'\1', first[0]) if first else '127.0.0.1'


def set_up_cpu_processes(config: Any) -> None:
    """Let several processes work without a GPU, which MMEngine does not support by itself.

    Raises:
        UsageError: if the launcher is neither torchrun nor Slurm.
    """
    import torch

    if config.launcher == 'none' or torch.cuda.is_available():
        return
    if config.launcher == 'slurm':
        read_slurm_variables()
    elif config.launcher != 'pytorch':
        raise UsageError(
            f'--launcher {config.launcher}: expected GPUs, found none; on CPUs use '
            'tools/dist_train.sh or tools/slurm_train.sh'
        )
    environment = dict(config.get('env_cfg') or {})
    seconds = (environment.get('dist_cfg') or {}).get('timeout')
    timeout = None if seconds is None else timedelta(seconds=seconds)
    # MMEngine's own function would look for a GPU.
    torch.distributed.init_process_group('gloo', timeout=timeout)
    config.env_cfg = {**environment, 'dist_cfg': {'backend': 'gloo'}}
    if config.get('sync_bn'):
        say('Without a GPU, each process takes the statistics of batch norm from its own samples.')
        config.sync_bn = None
    config.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': config.get('find_unused_parameters', False),
        **(config.get('model_wrapper_cfg') or {}),
        'device_ids': None,  # MMEngine would name a GPU
    }
