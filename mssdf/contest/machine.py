"""Description of the machine and of the state of the code beside a measurement."""

import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]


def describe_machine(device: torch.device) -> str:
    """Return the name of the GPU or of the processor."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        named = next(line for line in lines if line.startswith('model name'))
        return named.split(':', 1)[1].strip()
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def git_revision(folder: Path = ROOT) -> str | None:
    """Return the commit of the code, marked ``-dirty`` if files differ; None outside git."""
    command = ['git', '-C', str(folder), 'describe', '--always', '--dirty', '--exclude=*']
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
        return output.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
