"""Mixed precision with a GPU, and float32 without one."""

from typing import Any

from mssdf.errors import UsageError

from .processes import say

AMP_KEYS = ('dtype', 'loss_scale', 'use_fsdp')


def use_amp(config: Any, dtype: str) -> None:
    """Train in mixed precision.

    Raises:
        UsageError: if there is no GPU, or the config's optimizer wrapper is a special one.
    """
    import torch

    if not torch.cuda.is_available():
        raise UsageError('--amp: expected a GPU for mixed precision, found none')
    kind = config.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UsageError(f'--amp: expected optim_wrapper.type OptimWrapper, found {kind}')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.dtype = dtype
    if dtype == 'float16':
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')


def drop_amp_without_gpu(config: Any) -> None:
    """Let a config of mixed precision train on a CPU, which MMEngine's wrapper refuses."""
    import torch

    wrapper = config.get('optim_wrapper') or {}
    if torch.cuda.is_available() or wrapper.get('type') != 'AmpOptimWrapper':
        return
    wrapper['type'] = 'OptimWrapper'
    for key in AMP_KEYS:
        wrapper.pop(key, None)
    say('PyTorch sees no GPU: training in float32 instead of mixed precision.')
