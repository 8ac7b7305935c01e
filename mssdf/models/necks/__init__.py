"""Decoders between the encoder's visible tokens and the losses."""

from .fusion_decoder import FusionDecoder
from .modality_decoder import ModalityDecoder

__all__ = ['FusionDecoder', 'ModalityDecoder']
