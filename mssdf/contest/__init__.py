"""Comparison of several pre-training recipes at one budget on one machine."""

from .adapt import adapt_recipe
from .budget import Budget, Clock
from .entries import Entry, parse_entry
from .training import TrainingSettings, train_recipe

__all__ = [
    'Budget',
    'Clock',
    'Entry',
    'TrainingSettings',
    'adapt_recipe',
    'parse_entry',
    'train_recipe',
]
