"""Ranks of a distributed run: the rule that deals windows to them, collectives, wrappers."""

from .collectives import (
    from_main_process,
    gather_from_ranks,
    gather_windows,
    gather_windows_with_gradient,
    max_over_ranks,
    sum_over_ranks,
    sum_with_gradient,
)
from .main_process import main_process_first
from .ranks import Ranks, alone, has_other_ranks, own_windows, rank_and_world_size
from .wrappers import unwrap

__all__ = [
    'Ranks',
    'alone',
    'from_main_process',
    'gather_from_ranks',
    'gather_windows',
    'gather_windows_with_gradient',
    'has_other_ranks',
    'main_process_first',
    'max_over_ranks',
    'own_windows',
    'rank_and_world_size',
    'sum_over_ranks',
    'sum_with_gradient',
    'unwrap',
]
