"""Samplers."""

from .resumable import ResumableSampler
from .shard import ShardSampler

__all__ = ['ResumableSampler', 'ShardSampler']
