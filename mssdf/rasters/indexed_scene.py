"""A scene whose files have been opened and checked, and whose usable windows are known."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .band_source import BandSource
from .grids import GridMap
from .windows import ValidityMap


@dataclass
class IndexedScene:
    """A scene ready for reading.

    Attributes:
        name: name of the scene.
        reference: modality whose grid all others are brought to.
        sources: bands and file of each modality that is present, in the config's order.
        grids: map from the reference grid to that of each modality.
        positions: rows and columns (windows, 2) of the usable windows of the grid.
        dropped: number of windows of the grid that are not usable.
        validity: coarse validity maps by modality, for windows at random positions.
        fills: share of the valid pixels that has each value which usually marks a hole, by
            modality.
    """

    name: str
    reference: str
    sources: dict[str, BandSource]
    grids: dict[str, GridMap]
    positions: NDArray[np.int32]
    dropped: int = 0
    validity: dict[str, ValidityMap] = field(default_factory=dict)
    fills: dict[str, dict[float, float]] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the reference grid."""
        header = self.sources[self.reference].header
        return header.height, header.width
