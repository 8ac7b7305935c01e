"""Parts between a backbone and the heads: decoders of pre-training, a pyramid of the tasks."""

from .fusion_decoder import FusionDecoder
from .modality_decoder import ModalityDecoder
from .simple_fpn import SimpleFPN
from .zero_head_mae import ZeroHeadMAEDecoder

__all__ = ['FusionDecoder', 'ModalityDecoder', 'SimpleFPN', 'ZeroHeadMAEDecoder']
