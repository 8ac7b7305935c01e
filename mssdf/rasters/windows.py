"""Windows of a raster: where they lie, and how much of each is valid by a coarse map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mssdf.errors import ConfigError

from .grids import GridMap

MODES = ('grid', 'random')
JUDGES = ('reference', 'any')

# Cells of a coarse map along one side of a window.
CELLS_PER_WINDOW = 10

# By how much a coarse map's share of a window may be wrong, with a wide margin: cells that lie
# half inside, and their 255ths.
COARSE_ERROR = 0.08


@dataclass(frozen=True)
class WindowOptions:
    """The places of windows and the condition of their use; the config's group ``windows``.

    Attributes:
        size: side of a window in pixels of the reference grid.
        mode: ``'grid'`` covers each raster completely, the last row and column shifted inwards;
            ``'random'`` draws new positions in each epoch, scenes in proportion to their area.
        stride: distance in pixels between windows of a grid, at most ``size``; None takes
            ``size``.
        per_epoch: number of windows of an epoch, for random windows.
        reference: modality whose pixel grid the windows lie on; None takes the first one. A scene
            without it falls back to its own first modality.
        max_invalid_per_window: largest share of invalid pixels, 0...1, with which a modality counts
            as present in a window; with more it counts as missing there.
        judge_by: ``'reference'`` uses the windows in which the reference modality is present,
            ``'any'`` those in which one of the modalities is.

    Raises:
        ValueError: if a value is out of range, or does not go with the mode.
    """

    size: int = 320
    mode: str = 'grid'
    stride: int | None = None
    per_epoch: int | None = None
    reference: str | None = None
    max_invalid_per_window: float = 0.5
    judge_by: str = 'reference'

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError('windows.size', 'at least 1', self.size)
        if self.mode not in MODES:
            raise ConfigError('windows.mode', f'one of {MODES}', self.mode)
        if self.judge_by not in JUDGES:
            raise ConfigError('windows.judge_by', f'one of {JUDGES}', self.judge_by)
        if not 0 <= self.max_invalid_per_window <= 1:
            raise ConfigError(
                'windows.max_invalid_per_window', 'a share from 0 to 1', self.max_invalid_per_window
            )
        if self.mode == 'grid':
            self._check_grid()
        else:
            self._check_random()

    def _check_grid(self) -> None:
        if not 1 <= self.step <= self.size:
            raise ConfigError(
                'windows.stride',
                f'1 … windows.size ({self.size}), so that windows cover the raster',
                self.stride,
            )
        if self.per_epoch is not None:
            raise ConfigError('windows.per_epoch', "none with mode='grid'", self.per_epoch)

    def _check_random(self) -> None:
        if self.stride is not None:
            raise ConfigError('windows.stride', "none with mode='random'", self.stride)
        if not self.per_epoch or self.per_epoch < 1:
            raise ConfigError(
                'windows.per_epoch', 'the number of windows of an epoch', self.per_epoch
            )

    @property
    def random(self) -> bool:
        """Tell whether positions are drawn rather than taken from a grid."""
        return self.mode == 'random'

    @property
    def step(self) -> int:
        """Distance between windows of a grid in pixels."""
        return self.size if self.stride is None else self.stride

    def accept(self, share: ArrayLike) -> NDArray[np.bool_]:
        """Decide which windows have enough of a modality; this alone decides it.

        Args:
            share: valid shares of windows, 0...1, of any shape.

        Returns:
            True, in the shape of ``share``, where the modality counts as present.
        """
        return has_enough(share, self.max_invalid_per_window)

    def judges(self, modality: str, reference: str) -> bool:
        """Tell whether a modality decides if a window is used.

        Args:
            modality: name of the modality.
            reference: name of the scene's reference modality.
        """
        return self.judge_by == 'any' or modality == reference


def has_enough(share: ArrayLike, max_invalid: float) -> NDArray[np.bool_]:
    """Compare valid shares with the largest allowed share of invalid pixels.

    Something must be valid in any case, even where all may be invalid.
    """
    share = np.asarray(share)
    return (share >= 1 - max_invalid - 1e-9) & (share > 0)


def grid_starts(size: int, window: int, stride: int) -> NDArray[np.int32]:
    """Compute the first pixels of windows that cover an axis; the last one is shifted inwards.

    An axis shorter than the window has one, which reaches beyond it.

    Args:
        size: length of the axis in pixels.
        window: side of a window in pixels.
        stride: distance between windows in pixels.
    """
    if size <= window:
        return np.zeros(1, dtype=np.int32)
    starts = np.arange(0, size - window + 1, stride, dtype=np.int32)
    return starts if starts[-1] == size - window else np.append(starts, np.int32(size - window))


@dataclass(frozen=True)
class ValidityMap:
    """A coarse map of a raster: how much of each cell is valid, in 255ths.

    Attributes:
        shares: valid share of each cell (rows, cols) uint8; a single full cell stands for a raster
            without invalid pixels.
        cell: height and width of a cell in pixels of the raster.
        size: height and width of the raster in pixels.
    """

    shares: NDArray[np.uint8]
    cell: tuple[int, int]
    size: tuple[int, int]

    @property
    def full(self) -> bool:
        """Tell whether every pixel of the raster is valid."""
        return self.shares.size == 1 and int(self.shares[0, 0]) == 255


def full_map(size: tuple[int, int]) -> ValidityMap:
    """Make the map of a raster without invalid pixels."""
    return ValidityMap(np.full((1, 1), 255, dtype=np.uint8), size, size)


def grid_shares(
    validity: ValidityMap,
    grid: GridMap,
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    window: int,
) -> NDArray[np.float64]:
    """Compute the valid shares of the windows at all ``rows`` × ``cols`` of the reference grid.

    Args:
        validity: coarse map of the source.
        grid: map from the reference grid to the source's.
        rows: first rows (R,) of windows, on the reference grid.
        cols: first columns (C,) of windows, on the reference grid.
        window: side of a window in reference pixels.

    Returns:
        Shares (R, C), 0...1; what lies beyond the raster counts as invalid.
    """
    down = _overlaps(validity, grid, 0, rows, window)
    across = _overlaps(validity, grid, 1, cols, window)
    return down @ (validity.shares / 255.0) @ across.T


def _overlaps(
    validity: ValidityMap, grid: GridMap, axis: int, starts: NDArray[np.integer], window: int
) -> NDArray[np.float64]:
    """Compute the share of each window's side that lies in each cell: (windows, cells)."""
    scale, offset = grid.scale[axis], grid.offset[axis]
    first = np.asarray(starts, dtype=np.float64) * scale + offset
    second = first + window * scale
    # the axes of the two grids may run in opposite directions
    low, high = np.minimum(first, second)[:, None], np.maximum(first, second)[:, None]

    corners = np.arange(validity.shares.shape[axis] + 1, dtype=np.float64) * validity.cell[axis]
    edges = np.minimum(corners, validity.size[axis])
    overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return np.clip(overlap, 0, None) / (high - low)
