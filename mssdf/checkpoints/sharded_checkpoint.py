"""Sharded checkpoints: folders to which each rank has written its part of the tensors.

The tensors are in the format of ``torch.distributed.checkpoint``, which any number of ranks writes
and any other number reads. Everything else (schedules, position, log) is beside them in one small
file. Together they hold what a full checkpoint holds in one file.
"""

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from mssdf.errors import CheckpointError

INDEX = '.metadata'  # index of torch.distributed.checkpoint, written after all tensors
REST = 'rest.pth'
TENSORS = 'tensors'  # key in REST of the paths of all tensors, in order
SHARDED = ('state_dict', 'optimizer')  # keys with tensors that are worth sharding
SEPARATOR = '/'

Tree = dict[Any, Any]
DAMAGED = 'expected a complete checkpoint, found a damaged one'


class ShardedCheckpointError(CheckpointError):
    """An error in a sharded checkpoint that is incomplete or holds anything but tensors."""


def is_sharded_checkpoint(path: str | os.PathLike) -> bool:
    """Tell whether a path is a sharded checkpoint."""
    return (Path(path) / INDEX).is_file() and (Path(path) / REST).is_file()


def split(content: Mapping[Any, Any]) -> tuple[dict[str, Tensor], Tree]:
    """Take the tensors out of nested dictionaries.

    Returns:
        Tensors by path (``optimizer/state/#0/exp_avg``, where ``#`` marks an integer key), and the
        dictionaries without them.
    """
    tensors: dict[str, Tensor] = {}

    def walk(node: Mapping[Any, Any], path: tuple[str, ...]) -> Tree:
        rest: Tree = {}
        for key, value in node.items():
            here = (*path, f'#{key}' if isinstance(key, int) else str(key))
            if isinstance(value, Tensor):
                tensors[SEPARATOR.join(here)] = value
            elif isinstance(value, dict):
                rest[key] = walk(value, here)
            else:
                rest[key] = value
        return rest

    return tensors, walk(content, ())


def join(tensors: Mapping[str, Tensor], rest: Tree) -> Tree:
    """Put tensors back into the places that :func:`split` took them from; ``rest`` is changed."""
    for path, tensor in tensors.items():
        node = rest
        *parents, last = (
            int(key[1:]) if key.startswith('#') else key for key in path.split(SEPARATOR)
        )
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = tensor
    return rest


def split_checkpoint(content: Mapping[str, Any]) -> tuple[dict[str, Tensor], Tree]:
    """Take the tensors of the weights and the optimizer out of a checkpoint; see :func:`split`."""
    tensors, rest = split({key: content[key] for key in SHARDED if key in content})
    return tensors, {key: value for key, value in content.items() if key not in SHARDED} | rest


def write_tensors(tensors: Mapping[str, Tensor], folder: str | os.PathLike) -> None:
    """Write this rank's part of tensors; all ranks of a distributed run call this together."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    writer = FileSystemWriter(folder, single_file_per_rank=True, sync_files=True)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'torch.distributed is disabled')
        dcp.save(dict(tensors), storage_writer=writer, no_dist=not distributed)


def write_rest(rest: Tree, paths: list[str], folder: str | os.PathLike) -> None:
    """Write everything but the tensors, and the paths of those; one rank calls this."""
    with open(Path(folder) / REST, 'wb') as file:
        torch.save(rest | {TENSORS: paths}, file)
        file.flush()
        os.fsync(file.fileno())


# The classes that the index of torch.distributed.checkpoint consists of.
_INDEX_CLASSES = {
    ('torch.distributed.checkpoint.metadata', name)
    for name in (
        'BytesStorageMetadata',
        'ChunkStorageMetadata',
        'Metadata',
        'MetadataIndex',
        'StorageMeta',
        'TensorProperties',
        'TensorStorageMetadata',
        '_MEM_FORMAT_ENCODING',
    )
} | {
    ('torch.distributed.checkpoint.filesystem', '_StorageInfo'),
    ('torch', 'Size'),
    ('torch.serialization', '_get_layout'),
    ('pathlib', 'PosixPath'),
    ('pathlib', 'WindowsPath'),
    ('collections', 'OrderedDict'),
}


class _IndexUnpickler(pickle.Unpickler):
    """An unpickler that reads the index and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        known = (module, name) in _INDEX_CLASSES
        if not known and not (module == 'torch' and isinstance(getattr(torch, name), torch.dtype)):
            raise ShardedCheckpointError(
                f'expected tensors, found code that loading would run: {module}.{name}'
            )
        return super().find_class(module, name)


class SafeReader(FileSystemReader):
    """A reader of sharded checkpoints that runs none of their code."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Read the index, which locates each tensor.

        Raises:
            ShardedCheckpointError: if the index is damaged or names anything but tensors.
        """
        path = Path(self.path) / INDEX
        try:
            metadata = _IndexUnpickler(io.BytesIO(path.read_bytes())).load()
        except ShardedCheckpointError as error:
            raise ShardedCheckpointError(path, str(error)) from None
        except Exception as error:  # a damaged pickle may raise any type
            raise ShardedCheckpointError(
                path, f'expected an index, found a damaged one: {error}'
            ) from None

        if not isinstance(metadata, Metadata):
            raise ShardedCheckpointError(
                path, f'expected an index, found a {type(metadata).__name__}'
            )

        others = [
            name
            for name, item in metadata.state_dict_metadata.items()
            if not isinstance(item, TensorStorageMetadata)
        ]
        elsewhere = [
            info.relative_path
            for info in metadata.storage_data.values()
            if Path(info.relative_path).name != info.relative_path or info.relative_path == '..'
        ]

        if elsewhere:
            raise ShardedCheckpointError(path, f'expected files beside it, found {elsewhere[0]!r}')
        if others:
            raise ShardedCheckpointError(path, f'expected tensors alone, found {others[:3]}')

        return metadata


def read_index(folder: str | os.PathLike) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Read shape and type of each tensor, by path.

    Raises:
        ShardedCheckpointError: if the index cannot be read; see :meth:`SafeReader.read_metadata`.
    """
    metadata = SafeReader(folder).read_metadata()
    return {
        path: (item.size, item.properties.dtype)
        for path, item in metadata.state_dict_metadata.items()
        if isinstance(item, TensorStorageMetadata)  # always true, as read_metadata has checked
    }


def read_into(tensors: dict[str, Tensor], folder: str | os.PathLike, alone: bool) -> None:
    """Fill tensors from a sharded checkpoint; of distributed ones, this rank's parts.

    Args:
        tensors: tensors by path, changed in place.
        folder: folder of the checkpoint.
        alone: whether each process reads by itself; else all ranks of a distributed run call this
            together.

    Raises:
        ShardedCheckpointError: if the checkpoint is not complete.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'torch.distributed is disabled')
            dcp.load(tensors, storage_reader=SafeReader(folder), no_dist=alone)
    except dcp.api.CheckpointException as error:
        reasons = [str(wrapped[0]) for wrapped in error.failures.values()]
        raise ShardedCheckpointError(folder, f'{DAMAGED}: {reasons[0][:200]}') from None
    except (RuntimeError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        if isinstance(error, ShardedCheckpointError):
            raise
        raise ShardedCheckpointError(folder, f'{DAMAGED}: {str(error)[:200]}') from None


def read_full(folder: str | os.PathLike, rest: Tree) -> Tree:
    """Read a sharded checkpoint as a full one, to the CPU.

    Args:
        folder: folder of the checkpoint.
        rest: content of its ``rest.pth``, changed in place.

    Raises:
        ShardedCheckpointError: if the checkpoint is not complete.
    """
    index = read_index(folder)
    paths = rest.pop(TENSORS, None)
    if not isinstance(paths, list) or set(paths) != set(index):
        raise ShardedCheckpointError(
            folder, f'expected {REST} and {INDEX} of one checkpoint, found others'
        )
    tensors = {path: torch.empty(index[path][0], dtype=index[path][1]) for path in paths}
    read_into(tensors, folder, alone=True)
    return join(tensors, rest)


def _parts(folder: str | os.PathLike) -> Iterator[tuple[Path, int, int]]:
    """Yield file, offset and length of each piece of a tensor."""
    for info in SafeReader(folder).read_metadata().storage_data.values():
        yield Path(folder) / info.relative_path, info.offset, info.length


def is_complete(folder: str | os.PathLike) -> bool:
    """Tell whether every piece of every tensor exists and its checksum fits."""
    try:
        with zipfile.ZipFile(Path(folder) / REST) as archive:
            if archive.testzip() is not None:
                return False
        for path, offset, length in _parts(folder):
            with open(path, 'rb') as file:
                file.seek(offset)
                piece = io.BytesIO(file.read(length))
            with zipfile.ZipFile(piece) as archive:
                if archive.testzip() is not None:
                    return False
    except (RuntimeError, OSError, zipfile.BadZipFile, EOFError, ValueError):
        return False
    return True
