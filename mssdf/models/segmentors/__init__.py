"""Segmentation of several modalities with mmseg's models."""

from .data_preprocessor import MultiModalSegDataPreprocessor

__all__ = ['MultiModalSegDataPreprocessor']
