"""The algorithm."""

from .mssdf import MSSDF

__all__ = ['MSSDF']
