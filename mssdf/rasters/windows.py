"""Where windows lie on a raster, and how much of each is valid by a coarse map of the raster."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grids import GridMap

# Cells of a coarse map along one side of a window.
CELLS_PER_WINDOW = 10

# By how much a coarse map's share of a window may be wrong, with a wide margin: cells that lie
# half inside, and their 255ths.
COARSE_ERROR = 0.08


@dataclass(frozen=True)
class WindowSettings:
    """Where windows are cut: ``mode='grid'`` with a stride, or ``'random'``, so many an epoch."""

    mode: str = 'grid'
    stride: int | None = None
    per_epoch: int | None = None

    @classmethod
    def from_config(cls, config: dict[str, Any] | None, window_size: int) -> 'WindowSettings':
        """Check the config's part ``windows``.

        Raises:
            KeyError: on a key that does not exist.
            ValueError: on a value that makes no sense.
        """
        config = dict(config or {})
        unknown = sorted(set(config) - set(cls.__dataclass_fields__))
        if unknown:
            raise KeyError(
                f'windows: unknown key(s) {unknown}, expected {sorted(cls.__dataclass_fields__)}'
            )
        settings = cls(**config)
        if settings.mode == 'grid':
            stride = window_size if settings.stride is None else settings.stride
            if not 1 <= stride <= window_size:
                raise ValueError(
                    f'windows.stride: expected 1 … window_size ({window_size}), so that windows '
                    f'cover the raster, found {stride}'
                )
            if settings.per_epoch is not None:
                raise ValueError("windows.per_epoch: only for mode='random', found mode='grid'")
            return cls('grid', stride)
        if settings.mode != 'random':
            raise ValueError(f"windows.mode: expected 'grid' or 'random', found {settings.mode!r}")
        if settings.stride is not None:
            raise ValueError("windows.stride: only for mode='grid', found mode='random'")
        if not settings.per_epoch or settings.per_epoch < 1:
            raise ValueError(
                f'windows.per_epoch: expected the number of windows of an epoch, '
                f'found {settings.per_epoch!r}'
            )
        return settings


def grid_starts(size: int, window: int, stride: int) -> NDArray[np.int32]:
    """First pixels of windows that cover an axis wholly; the last one is shifted inwards.

    An axis shorter than the window has one, which reaches beyond it.
    """
    if size <= window:
        return np.zeros(1, dtype=np.int32)
    starts = np.arange(0, size - window + 1, stride, dtype=np.int32)
    return starts if starts[-1] == size - window else np.append(starts, np.int32(size - window))


@dataclass(frozen=True)
class ValidityMap:
    """How much of each cell of a raster is valid, in 255ths.

    Attributes:
        shares: (rows, cols) uint8; a single full cell says that every pixel is valid.
        cell: rows and columns of source pixels in a cell.
        size: of the raster in pixels.
    """

    shares: NDArray[np.uint8]
    cell: tuple[int, int]
    size: tuple[int, int]

    @property
    def full(self) -> bool:
        """Tell whether every pixel of the raster is valid."""
        return self.shares.size == 1 and int(self.shares[0, 0]) == 255


def full_map(size: tuple[int, int]) -> ValidityMap:
    """The map of a raster without invalid pixels."""
    return ValidityMap(np.full((1, 1), 255, dtype=np.uint8), size, size)


def grid_shares(
    validity: ValidityMap,
    grid: GridMap,
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    window: int,
) -> NDArray[np.float64]:
    """Valid shares of the windows at all ``rows`` × ``cols`` of the reference grid.

    Args:
        validity: of the source.
        grid: from the reference grid to the source's.
        rows: first rows of windows, on the reference grid.
        cols: first columns of them.
        window: side in reference pixels.

    Returns:
        (rows, cols) shares between 0 and 1; what lies beyond the raster counts as invalid.
    """
    down = _overlaps(validity, grid, 0, rows, window)
    across = _overlaps(validity, grid, 1, cols, window)
    return down @ (validity.shares / 255.0) @ across.T


def _overlaps(
    validity: ValidityMap, grid: GridMap, axis: int, starts: NDArray[np.integer], window: int
) -> NDArray[np.float64]:
    """Share of each window's side that lies in each cell: (windows, cells)."""
    scale, offset = grid.scale[axis], grid.offset[axis]
    first = np.asarray(starts, dtype=np.float64) * scale + offset
    second = first + window * scale
    low, high = np.minimum(first, second)[:, None], np.maximum(first, second)[:, None]
    corners = np.arange(validity.shares.shape[axis] + 1, dtype=np.float64) * validity.cell[axis]
    edges = np.minimum(corners, validity.size[axis])
    overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return np.clip(overlap, 0, None) / (high - low)
