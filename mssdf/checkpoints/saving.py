"""Writing of checkpoints that are passed on to others."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from mssdf.utils.atomic_file import write_atomically


def save(content: dict[str, Any], path: str | os.PathLike, hashed: bool = False) -> Path:
    """Write a checkpoint completely or not at all.

    Args:
        content: tensors and plain containers only.
        path: path of the file.
        hashed: whether the first eight digits of the file's SHA-256 become part of its name:
            ``model.pth`` becomes ``model-1a2b3c4d.pth``, which ``torch.hub`` checks on downloading.

    Returns:
        Path of the file that was written.

    Raises:
        OSError: if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path = Path(path)
    if hashed:
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:8]
        path = path.with_name(f'{path.stem}-{digest}{path.suffix or ".pth"}')
    write_atomically(path, buffer.getvalue())
    return path


def summarize(names: list[str]) -> str:
    """Shorten a list of keys to their first parts and the count of each."""
    counts: dict[str, int] = {}
    for name in names:
        first = name if name.startswith('meta.') else name.split('.')[0]
        counts[first] = counts.get(first, 0) + 1
    return ', '.join(f'{name} ({count})' if count > 1 else name for name, count in counts.items())
