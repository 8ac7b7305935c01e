"""Ways of a modality's pixels into the shared encoder."""

from .per_modality import PerModalityPatchEmbedding
from .shared import SharedPatchEmbedding

__all__ = ['PerModalityPatchEmbedding', 'SharedPatchEmbedding']
