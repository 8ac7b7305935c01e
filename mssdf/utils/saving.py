"""Writing published checkpoints."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from mssdf.engine.atomic_file import write_atomically


def save_published(content: dict[str, Any], path: str | os.PathLike) -> Path:
    """Write a checkpoint whose name ends with the first eight digits of its SHA-256.

    Args:
        content: tensors and plain containers only.
        path: where to; ``model.pth`` becomes ``model-1a2b3c4d.pth``.

    Returns:
        The path written, atomically.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:8]
    path = Path(path)
    target = path.with_name(f'{path.stem}-{digest}{path.suffix or ".pth"}')
    write_atomically(target, buffer.getvalue())
    return target
