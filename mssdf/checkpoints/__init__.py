"""Checkpoints: safe and strict loading, publishing, conversion, inflation to more bands."""

from mssdf.errors import CheckpointError

from .convert import FORMATS, Converted, convert, detect_format
from .initializer import StrictPretrained
from .publish import publish
from .safe_load import read_checkpoint, read_state_dict
from .strict_load import LoadReport, load_pretrained

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
