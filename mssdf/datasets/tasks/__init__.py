"""Data sets of mmseg's kind that mmseg does not have, and how they are packed."""

from .height import HeightDataset
from .pack_semantic_change import PackSemanticChange
from .semantic_change import SECONDChangeDataset, SECONDDataset

__all__ = ['HeightDataset', 'PackSemanticChange', 'SECONDChangeDataset', 'SECONDDataset']
