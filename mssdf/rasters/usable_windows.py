"""The windows of a scene that are usable, by the validity of its pixels.

Validity is read once and kept by cells. Only where a window is close to the limit are its pixels
counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .indexed_scene import IndexedScene
from .pixels import read_validity
from .raster_reader import RasterReader
from .resample import validity_on_grid
from .scenes import ModalitySettings
from .windows import (
    CELLS_PER_WINDOW,
    COARSE_ERROR,
    ValidityMap,
    WindowOptions,
    full_map,
    grid_shares,
    grid_starts,
)

# Pixels decoded at once while a validity map is made.
CHUNK_PIXELS = 4_000_000


@dataclass(frozen=True)
class WindowJudge:
    """A search for the usable windows of one scene.

    Attributes:
        scene: opened scene; its windows are filled in.
        modalities: settings of the modalities.
        windows: options that decide which windows are kept.
        reader: reader of the scene's files.
    """

    scene: IndexedScene
    modalities: Mapping[str, ModalitySettings]
    windows: WindowOptions
    reader: RasterReader

    def fill_in(self) -> None:
        """Fill in the scene's usable windows, and its validity maps for random windows."""
        scene, windows = self.scene, self.windows
        maps = {m: self._map(m) for m in scene.sources if windows.judges(m, scene.reference)}
        stride = windows.step
        if windows.random:
            scene.validity = maps
            stride = max(1, windows.size // 2)  # only to see whether there is anything to draw

        rows, cols = (grid_starts(size, windows.size, stride) for size in scene.size)
        keep = np.zeros((len(rows), len(cols)), dtype=bool)
        for modality, validity in maps.items():
            shares = grid_shares(validity, scene.grids[modality], rows, cols, windows.size)
            if not windows.random and not validity.full:
                self._settle_close_calls(modality, shares, rows, cols)
            keep |= windows.accept(shares)

        chosen = np.argwhere(keep)
        positions = np.stack([rows[chosen[:, 0]], cols[chosen[:, 1]]], axis=1)
        scene.positions = positions.astype(np.int32)
        scene.dropped = keep.size - len(chosen)

    def _settle_close_calls(
        self,
        modality: str,
        shares: NDArray[np.float64],
        rows: NDArray[np.int32],
        cols: NDArray[np.int32],
    ) -> None:
        """Count the pixels where the coarse map cannot tell on which side of the limit they are."""
        source, side = self.scene.sources[modality], self.windows.size
        close = np.abs(shares - (1 - self.windows.max_invalid_per_window)) < COARSE_ERROR
        for i, j in np.argwhere(close):
            call = partial(
                validity_on_grid,
                source=source,
                grid=self.scene.grids[modality],
                window=(int(rows[i]), int(cols[j]), side, side),
                resampling=self.modalities[modality].resampling,
            )
            shares[i, j] = self.reader.read(source.path, call, expected=source.header).mean()

    def _map(self, modality: str) -> ValidityMap:
        """Read the validity of a modality's raster, row by row, and keep it by cells."""
        source, grid = self.scene.sources[modality], self.scene.grids[modality]
        size = (source.header.height, source.header.width)
        if source.always_valid:
            return full_map(size)

        side = self.windows.size * min(map(abs, grid.scale))  # in source pixels
        cell = max(1, int(side / CELLS_PER_WINDOW))
        chunk = max(1, CHUNK_PIXELS // (size[1] * cell)) * cell
        parts = []
        for row in range(0, size[0], chunk):
            # Every pixel is read, as overviews say what they were made of, not what is valid.
            place = (row, 0, min(chunk, size[0] - row), size[1])
            call = partial(read_validity, source=source, window=place)
            valid = self.reader.read(source.path, call, expected=source.header)
            parts.append(_cell_means(valid, cell))

        shares = np.concatenate(parts)
        if shares.min() == 1.0:
            return full_map(size)
        return ValidityMap(np.rint(shares * 255).astype(np.uint8), (cell, cell), size)


def _cell_means(valid: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Average validity over cells of ``side`` × ``side`` pixels; the last ones may be smaller."""
    starts = [np.arange(0, size, side) for size in valid.shape]
    counts = [np.diff(np.append(s, size)) for s, size in zip(starts, valid.shape, strict=True)]
    total = np.add.reduceat(valid, starts[0], axis=0, dtype=np.int64)
    total = np.add.reduceat(total, starts[1], axis=1)
    return total / (counts[0][:, None] * counts[1])
