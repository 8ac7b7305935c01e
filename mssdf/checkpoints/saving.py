"""Writing checkpoints that others get."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from mssdf.utils.atomic_file import write_atomically


def save(content: dict[str, Any], path: str | os.PathLike, hashed: bool = False) -> Path:
    """Write a checkpoint, whole or not at all.

    Args:
        content: tensors and plain containers only.
        path: where to.
        hashed: put the first eight digits of the file's SHA-256 into its name: ``model.pth``
            becomes ``model-1a2b3c4d.pth``, as ``torch.hub`` checks on downloading.

    Returns:
        The path written.

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
    """Shorten a list of keys to their first parts and how often each occurs."""
    counts: dict[str, int] = {}
    for name in names:
        first = name if name.startswith('meta.') else name.split('.')[0]
        counts[first] = counts.get(first, 0) + 1
    return ', '.join(f'{name} ({count})' if count > 1 else name for name, count in counts.items())
