"""Reading all of a checkpoint of training, the log's buffers too, without running what is in it."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from .reading import CheckpointError, explain
from .sharded import REST, ShardedError, is_sharded, read_whole

_METHODS = ('min', 'max', 'current', 'mean')


def _method(owner: Any, name: str) -> Any:
    """What stands for ``getattr`` in a file: it finds the methods of MMEngine's log buffers."""
    if owner is not HistoryBuffer or name not in _METHODS:
        raise pickle.UnpicklingError(f'GLOBAL getattr of {name} was not an allowed global')
    return getattr(owner, name)


def _allowed() -> list[Any]:
    arrays: Any = np.array([0.0]).__reduce__()[0]
    scalars: Any = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'float32', 'float64')]
    names = [
        (function, f'numpy.{package}.multiarray.{function.__name__}')
        for function in (arrays, scalars)
        for package in ('core', '_core')
    ]
    return [HistoryBuffer, np.ndarray, np.dtype, *kinds, *names, (_method, 'builtins.getattr')]


def read_rest(path: str | os.PathLike) -> dict[str, Any]:
    """Read one file of a checkpoint of training.

    Raises:
        CheckpointError: if it is missing, torn, or names other functions or classes than those of
            tensors, arrays and MMEngine's log.
    """
    if not Path(path).is_file():
        raise CheckpointError(f'{path}: no such checkpoint file')
    try:
        with torch.serialization.safe_globals(_allowed()):
            content = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle raises just about anything
        raise CheckpointError(f'{path}: {explain(error)}') from None
    return _without_program(content, path)


def _without_program(content: Any, path: str | os.PathLike) -> dict[str, Any]:
    """Drop ``meta.config``, which either of MMEngine's runners would run as Python on resuming."""
    if not isinstance(content, dict):
        raise CheckpointError(f'{path}: expected a dictionary, found a {type(content).__name__}')
    meta = content.get('meta', {})
    if not isinstance(meta, dict):
        raise CheckpointError(f'{path}: meta: expected a dictionary, found a {type(meta).__name__}')
    meta.pop('config', None)
    return content


def read_training_state(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint of training, full or sharded, as a full one.

    Raises:
        CheckpointError: see :func:`read_rest`; also if a sharded one is not whole.
    """
    if not is_sharded(path):
        return read_rest(path)
    try:
        return read_whole(path, read_rest(Path(path) / REST))
    except ShardedError as error:
        raise CheckpointError(str(error)) from None
