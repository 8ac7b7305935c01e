"""What the detectors of mmdet and mmrotate lack."""

from .rotated_tta import RotatedTTA

__all__ = ['RotatedTTA']
