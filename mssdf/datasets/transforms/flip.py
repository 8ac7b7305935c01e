"""Flips and quarter turns."""

from collections.abc import Callable, Sequence

import cv2
from numpy.typing import NDArray

from mssdf.errors import ConfigError
from mssdf.registry import TRANSFORMS

from .base import Results, check_probability, map_planes, window_shape

# By the number of quarter turns counterclockwise.
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def _apply(results: Results, change: Callable[[NDArray], NDArray]) -> Results:
    """Apply one change of rows and columns to everything."""
    for part in ('images', 'valid'):
        results[part] = {
            modality: map_planes(change, array) for modality, array in results[part].items()
        }
    return results


@TRANSFORMS.register_module()
class MultiModalRandomFlip:
    """A random flip of all modalities and validities alike.

    Args:
        prob: probability of a flip, for each direction by itself.
        directions: ``'horizontal'`` (left to right), ``'vertical'`` or both.
    """

    def __init__(
        self, prob: float = 0.5, directions: Sequence[str] = ('horizontal', 'vertical')
    ) -> None:
        axes = dict(horizontal=1, vertical=0)
        unknown = [direction for direction in directions if direction not in axes]
        if unknown:
            raise ConfigError('directions', f'some of {sorted(axes)}', unknown)
        self.prob = check_probability('prob', prob)
        self.axes = [axes[direction] for direction in directions]

    def __call__(self, results: Results) -> Results:
        """Flip."""
        draws = results['rng'].random(len(self.axes))
        axes = {axis for axis, u in zip(self.axes, draws, strict=True) if u < self.prob}
        if not axes:
            return results
        code = -1 if len(axes) == 2 else axes.pop()  # OpenCV's: -1 both, 0 vertical, 1 horizontal
        return _apply(results, lambda plane: cv2.flip(plane, code))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, axes={self.axes})'


@TRANSFORMS.register_module()
class MultiModalRandomRotate90:
    """A turn of all modalities and validities by 0, 90, 180 or 270 degrees, each as likely.

    A window that is not square is turned by 0 or 180 degrees only, so that its shape stays.
    """

    def __call__(self, results: Results) -> Results:
        """Turn."""
        turns = int(results['rng'].integers(4))
        height, width = window_shape(results)
        if height != width:
            turns -= turns % 2
        if turns == 0:
            return results
        return _apply(results, lambda plane: cv2.rotate(plane, TURNS[turns]))

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
