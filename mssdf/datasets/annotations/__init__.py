"""Annotations as files: read whole before training, with the place of what is wrong."""

from .check import check_annotations

__all__ = ['check_annotations']
