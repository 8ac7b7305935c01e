"""Shards: windows of all modalities packed into chunk files for streaming (LitData's format)."""

from .index import ShardIndex, write_index
from .sample_format import BrokenSampleError, decode_sample, encode_sample
from .shard_info import ModalityInfo, ShardInfo
from .writer import remove_partial_shards, verify_shard, write_shard

__all__ = [
    'BrokenSampleError',
    'ModalityInfo',
    'ShardIndex',
    'ShardInfo',
    'decode_sample',
    'encode_sample',
    'remove_partial_shards',
    'verify_shard',
    'write_index',
    'write_shard',
]
