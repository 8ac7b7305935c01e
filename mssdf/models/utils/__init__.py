"""Helpers shared by the models."""

from .attention import encoder_layer, safe_key_mask
from .ema import update_ema
from .positions import gather_tokens, sincos_positions, visible_indices

__all__ = [
    'encoder_layer',
    'gather_tokens',
    'safe_key_mask',
    'sincos_positions',
    'update_ema',
    'visible_indices',
]
