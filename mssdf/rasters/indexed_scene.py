"""A scene whose files have been opened and checked, and whose usable windows are known."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .grids import GridMap
from .raster import BandSource
from .windows import ValidityMap, WindowSettings


@dataclass(frozen=True)
class IndexSettings:
    """Everything that decides which windows are kept, apart from the files."""

    window_size: int
    windows: WindowSettings
    max_invalid: float
    judge_by: str
    reference: str | None


@dataclass
class IndexedScene:
    """A scene ready for reading.

    Attributes:
        reference: the modality whose grid all others are brought to.
        sources, grids: per modality present, in the config's order.
        validity: coarse validity maps of the modalities, for windows at random positions.
        positions: (windows, 2) rows and columns of the usable windows of the grid.
        dropped: how many windows of the grid were not usable.
        fills: by modality, the share of valid pixels of each value that usually marks a hole.
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


def usable(share: ArrayLike, max_invalid: float) -> NDArray[np.bool_]:
    """Tell whether so large a valid share is enough. Something must be valid in any case."""
    share = np.asarray(share)
    return (share >= 1 - max_invalid - 1e-9) & (share > 0)
