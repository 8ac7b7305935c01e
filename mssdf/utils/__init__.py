"""Checkpoints: loading strictly, publishing, converting."""

from .checkpoint import (
    CheckpointError,
    LoadReport,
    StrictPretrained,
    load_pretrained,
    read_checkpoint,
    read_state_dict,
)
from .convert import FORMATS, convert, detect_format

__all__ = [
    'FORMATS',
    'CheckpointError',
    'LoadReport',
    'StrictPretrained',
    'convert',
    'detect_format',
    'load_pretrained',
    'read_checkpoint',
    'read_state_dict',
]
