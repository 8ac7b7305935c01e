"""What the transforms share."""

from typing import Any

import numpy as np

Results = dict[str, Any]


def check_probability(name: str, value: float) -> float:
    """The value.

    Raises:
        ValueError: when it is no probability.
    """
    if not 0 <= value <= 1:
        raise ValueError(f'{name}: expected a probability from 0 to 1, found {value}')
    return float(value)


def window_shape(results: Results) -> tuple[int, int]:
    """Height and width, common to all modalities."""
    height, width = next(iter(results['valid'].values())).shape
    return height, width


def present(results: Results) -> list[str]:
    """The modalities with any valid pixel."""
    return [modality for modality, valid in results['valid'].items() if np.any(valid)]
