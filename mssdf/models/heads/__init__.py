"""Heads of the pre-training model."""

from .modality_head import ModalityHead
from .pixel_head import PixelHead

__all__ = ['ModalityHead', 'PixelHead']
