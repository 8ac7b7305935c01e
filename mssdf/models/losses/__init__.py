"""The losses of section 6 of method.md, as pure functions."""

from .alignment import info_nce, location_info_nce
from .discrimination import discrimination_loss
from .distillation import masked_feature_loss, normalize_targets
from .errors import NonFiniteLossError
from .hsic import linear_hsic
from .instance import instance_loss
from .locations import sample_locations
from .modality import modality_loss
from .pixels import masked_pixel_loss, patchify

__all__ = [
    'NonFiniteLossError',
    'discrimination_loss',
    'info_nce',
    'instance_loss',
    'linear_hsic',
    'location_info_nce',
    'masked_feature_loss',
    'masked_pixel_loss',
    'modality_loss',
    'normalize_targets',
    'patchify',
    'sample_locations',
]
