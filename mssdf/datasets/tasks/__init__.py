"""Data sets of mmseg's kind that mmseg does not have."""

from .height import HeightDataset
from .semantic_change import SECONDDataset

__all__ = ['HeightDataset', 'SECONDDataset']
