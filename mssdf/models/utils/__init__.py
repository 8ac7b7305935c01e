"""Helpers shared by the models."""

from .attention import EncoderLayer, checkpoint_layers, safe_key_mask
from .ema import update_ema
from .positions import gather_tokens, sincos_positions, visible_indices

__all__ = [
    'EncoderLayer',
    'checkpoint_layers',
    'gather_tokens',
    'safe_key_mask',
    'sincos_positions',
    'update_ema',
    'visible_indices',
]
