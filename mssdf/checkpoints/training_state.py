"""Reading of a complete training checkpoint, with the log's buffers, without running its code."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mssdf.errors import CheckpointError

from .safe_load import explain
from .sharded_checkpoint import REST, is_sharded_checkpoint, read_full

# Types of the entries that MMEngine's runners use unchecked when they resume.
KINDS: dict[str, tuple[type, ...]] = dict(
    state_dict=(Mapping,),
    optimizer=(Mapping,),
    param_schedulers=(list, Mapping),
    message_hub=(Mapping,),
)
HUB = ('log_scalars', 'runtime_info', 'resumed_keys')
MOST_SEED = 2**32 - 1
_METHODS = ('min', 'max', 'current', 'mean')


def _method(owner: Any, name: str) -> Any:
    """Find a method of MMEngine's log buffers, in place of ``getattr`` in a file."""
    if owner is not HistoryBuffer or name not in _METHODS:
        raise pickle.UnpicklingError(f'GLOBAL getattr of {name} was not an allowed global')
    return getattr(owner, name)


def _allowed() -> list[Any]:
    """List the functions and classes that a file may name."""
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
    """Read one file of a training checkpoint.

    Raises:
        CheckpointError: if the file is missing, damaged, or names functions or classes other than
            those of tensors, arrays and MMEngine's log.
    """
    if not Path(path).is_file():
        raise CheckpointError(path, 'expected a checkpoint file, found none')
    try:
        with torch.serialization.safe_globals(_allowed()):
            content = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle may raise any type
        raise CheckpointError(path, explain(error)) from None
    return _without_program(content, path)


def _without_program(content: Any, path: str | os.PathLike) -> dict[str, Any]:
    """Drop ``meta.config``, which MMEngine's runners would run as Python on resuming."""
    if not isinstance(content, dict):
        raise CheckpointError(path, f'expected a dictionary, found a {type(content).__name__}')
    meta = content.get('meta', {})
    if not isinstance(meta, dict):
        raise CheckpointError(path, f'meta: expected a dictionary, found a {type(meta).__name__}')
    meta.pop('config', None)
    for key, kinds in KINDS.items():
        if key in content and not isinstance(content[key], kinds):
            names = ' or '.join('list' if kind is list else 'dictionary' for kind in kinds)
            raise CheckpointError(
                path, f'{key}: expected a {names}, found a {type(content[key]).__name__}'
            )
    return content


def check_resumable(content: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Check that a training checkpoint has what a run needs to resume.

    Args:
        content: content of the file, from :func:`read_rest`.
        path: path of the checkpoint, for the error.

    Raises:
        CheckpointError: if a value is missing or out of range.
    """
    meta, hub = content.get('meta', {}), content.get('message_hub', {})
    for key in ('epoch', 'iter'):
        if type(meta.get(key)) is not int or meta[key] < 0:
            raise CheckpointError(
                path,
                f'meta.{key}: expected an integer from 0, as in a checkpoint of training, found '
                f'{meta.get(key)!r:.80}',
            )

    seed = meta.get('seed')
    if seed is not None and not (type(seed) is int and 0 <= seed <= MOST_SEED):
        raise CheckpointError(
            path, f'meta.seed: expected an integer from 0 to {MOST_SEED}, found {seed!r:.80}'
        )

    lacking = [key for key in HUB if not isinstance(hub.get(key), Mapping)]
    if lacking:
        raise CheckpointError(
            path,
            f'message_hub: expected dictionaries {", ".join(HUB)}, as in a checkpoint of '
            f'training, found no {lacking[0]}',
        )


def read_training_state(path: str | os.PathLike) -> dict[str, Any]:
    """Read a training checkpoint, full or sharded, as a full one.

    Raises:
        CheckpointError: if it cannot be read (see :func:`read_rest`), or a sharded one is
            incomplete.
    """
    if not is_sharded_checkpoint(path):
        return read_rest(path)
    return read_full(path, read_rest(Path(path) / REST))
