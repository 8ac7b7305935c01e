"""Checkpoints: loading strictly, publishing, converting."""

from .checkpoint import LoadReport, load_pretrained
from .convert import FORMATS, Converted, convert, detect_format
from .initializer import StrictPretrained
from .publish import publish
from .reading import CheckpointError, read_checkpoint, read_state_dict

__all__ = [
    'FORMATS',
    'CheckpointError',
    'Converted',
    'LoadReport',
    'StrictPretrained',
    'convert',
    'detect_format',
    'load_pretrained',
    'publish',
    'read_checkpoint',
    'read_state_dict',
]
