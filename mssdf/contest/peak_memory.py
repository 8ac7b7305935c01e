"""Peak memory of one training among several in a process."""

import resource
from pathlib import Path

import torch

STATUS, CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak, where the system allows a process to do so."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        CLEAR.write_text('5')
    except OSError:  # the peak then covers the process so far
        pass


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak since the last reset in MiB: device memory, or of the process on a CPU."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
