"""Additions to the detectors of mmdet and mmrotate."""

from .rotated_tta import RotatedTTA

__all__ = ['RotatedTTA']
