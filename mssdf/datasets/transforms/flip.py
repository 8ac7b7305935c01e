"""Flips and quarter turns."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...registry import TRANSFORMS
from .base import Results, check_probability, window_shape


def _apply(results: Results, change: Callable[[NDArray], NDArray]) -> Results:
    """One change of the first two axes for everything; views, which packing makes arrays."""
    for part in ('images', 'valid'):
        results[part] = {modality: change(array) for modality, array in results[part].items()}
    return results


@TRANSFORMS.register_module()
class MultiModalRandomFlip:
    """Flip all modalities and validities alike.

    Args:
        prob: of a flip, for each direction by itself.
        directions: ``'horizontal'`` (left to right), ``'vertical'`` or both.
    """

    def __init__(
        self, prob: float = 0.5, directions: Sequence[str] = ('horizontal', 'vertical')
    ) -> None:
        axes = dict(horizontal=1, vertical=0)
        unknown = [direction for direction in directions if direction not in axes]
        if unknown:
            raise ValueError(f'directions: expected some of {sorted(axes)}, found {unknown}')
        self.prob = check_probability('prob', prob)
        self.axes = [axes[direction] for direction in directions]

    def __call__(self, results: Results) -> Results:
        """Flip."""
        draws = results['rng'].random(len(self.axes))
        axes = tuple(axis for axis, u in zip(self.axes, draws, strict=True) if u < self.prob)
        return _apply(results, lambda array: np.flip(array, axes)) if axes else results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, axes={self.axes})'


@TRANSFORMS.register_module()
class MultiModalRandomRotate90:
    """Turn all modalities and validities by 0, 90, 180 or 270 degrees, each as likely.

    A window that is not square is turned by 0 or 180 degrees only, so that its shape stays.
    """

    def __call__(self, results: Results) -> Results:
        """Turn."""
        turns = int(results['rng'].integers(4))
        height, width = window_shape(results)
        if height != width:
            turns -= turns % 2
        return _apply(results, lambda array: np.rot90(array, turns)) if turns else results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
