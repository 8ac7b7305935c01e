"""Samplers."""

from .resumable import ResumableSampler

__all__ = ['ResumableSampler']
