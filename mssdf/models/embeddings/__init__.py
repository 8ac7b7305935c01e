"""Patch embeddings, by which a modality's pixels enter the shared encoder."""

from .per_modality import PerModalityPatchEmbedding
from .shared import SharedPatchEmbedding

__all__ = ['PerModalityPatchEmbedding', 'SharedPatchEmbedding']
