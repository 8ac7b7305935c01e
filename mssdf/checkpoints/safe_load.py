"""Reading of checkpoints without running their code."""

import os
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mssdf.errors import CheckpointError

from .sharded_checkpoint import REST, is_sharded_checkpoint, read_full


class Inert:
    """A stand-in without data or behavior for an object of a checkpoint that is no weight."""

    def __new__(cls, *args: Any, **kwargs: Any) -> 'Inert':
        """Accept and ignore the arguments of the object."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# Content of checkpoints beside weights: MMEngine's log buffers with their NumPy objects, and the
# parsed command lines of MAE's and the paper's code. All of these become inert objects.
_BESIDE_WEIGHTS = (
    'mmengine.logging.history_buffer.HistoryBuffer',
    'numpy.core.multiarray._reconstruct',
    'numpy.core.multiarray.scalar',
    'numpy._core.multiarray._reconstruct',
    'numpy._core.multiarray.scalar',
    'numpy.ndarray',
    'numpy.dtype',
    'builtins.getattr',
    'argparse.Namespace',
    'pathlib.PosixPath',
    'pathlib.WindowsPath',
)


def _stand_in(path: str) -> type[Inert]:
    """Make a class that torch, which goes by module and name, takes for the one at ``path``."""
    module, name = path.rsplit('.', 1)
    return type(name, (Inert,), {'__module__': module, '__qualname__': name})


_STAND_INS: list[Any] = [_stand_in(path) for path in _BESIDE_WEIGHTS]
_MALFORMED = (
    RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    struct.error,
)  # fmt: skip


def read_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint to the CPU without running its code.

    Args:
        path: path of a file of MMEngine, this project, timm, MAE or the paper, or of the folder of
            a sharded checkpoint.

    Returns:
        Content of the file, with :class:`Inert` objects for what is neither a tensor nor a plain
        value.

    Raises:
        CheckpointError: if the file is missing, damaged, not a checkpoint, or names functions or
            classes other than those of tensors and of what MMEngine, MAE and the paper save.
    """
    path = Path(path)
    if is_sharded_checkpoint(path):
        return read_full(path, _read_file(path / REST))
    return _read_file(path)


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(path, 'expected a checkpoint file, found none')
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, AssertionError, *_MALFORMED) as error:
        raise CheckpointError(path, explain(error)) from None
    if not isinstance(content, Mapping):
        raise CheckpointError(path, f'expected a dictionary, found a {type(content).__name__}')
    return dict(content)


def explain(error: Exception) -> str:
    """Describe in one line why torch does not load a file."""
    lines = str(error).splitlines() or [type(error).__name__]
    for line in lines:
        if 'GLOBAL' in line or 'reduce for unrecognized' in line:
            culprit = line.split('WeightsUnpickler error: ')[-1].split(' was not an allowed')[0]
            return f'expected tensors, found code that loading would run: {culprit[:200]}'
    return f'expected a checkpoint of PyTorch, found a damaged or another file: {lines[0][:200]}'


def read_state_dict(path: str | os.PathLike) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, under ``state_dict``, ``model`` or at its top.

    The prefix ``module.``, which DistributedDataParallel leaves, is removed.

    Raises:
        CheckpointError: if the file cannot be read (see :func:`read_checkpoint`), has no weights,
            or has something else among them.
    """
    return weights_of(read_checkpoint(path), path)


def weights_of(content: Mapping[str, Any], path: str | os.PathLike) -> dict[str, Tensor]:
    """Find the weights in the content of a checkpoint; see :func:`read_state_dict`."""
    weights = content
    for key in ('state_dict', 'model'):
        if isinstance(content.get(key), Mapping):
            weights = content[key]
            break
    others = [str(name) for name, value in weights.items() if not isinstance(value, Tensor)]
    if not weights or others:
        found = f'{others[:5]} that are none' if others else 'nothing'
        raise CheckpointError(
            path, f'expected tensors under state_dict, model or at its top, found {found}'
        )
    return {str(name).removeprefix('module.'): value for name, value in weights.items()}
