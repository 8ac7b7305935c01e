"""Endless stream of batches of windows from tiles in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mssdf.datasets.transforms.batched_crops import CropSettings, change_colors, draw_colors
from mssdf.models.utils.crops import CropParameters, crop, crop_parameters, source_points

from .tiles import Tiles


class TileStream:
    """A stream of batches like those of the collate function, cut on the tiles' device.

    The tiles of a batch and the parts of them depend on the seed, the number of tiles and the batch
    size alone, so every recipe of a contest sees the same windows on any device.

    Args:
        tiles: tiles to cut windows from.
        modalities: names of the modalities to cut; the others cost nothing.
        crops: geometry and colors of the windows.
        batch_size: number B of windows in a batch.
        seed: seed of the random numbers.
        colored: name of the modality whose colors are changed.

    Raises:
        ValueError: if a modality is missing in the tiles, or the batch size is below 1.
    """

    def __init__(
        self,
        tiles: Tiles,
        modalities: Sequence[str],
        crops: CropSettings,
        batch_size: int,
        seed: int,
        colored: str = 'rgb',
    ) -> None:
        unknown = [name for name in modalities if name not in tiles.images]
        if unknown or not modalities:
            raise ValueError(
                f'modalities: expected some of {list(tiles.modalities)} (of the tiles), '
                f'found {list(modalities)}'
            )

        if batch_size < 1:
            raise ValueError(f'batch_size: expected at least 1, found {batch_size}')

        self.tiles = tiles
        self.modalities = tuple(modalities)
        self.crops = crops
        self.batch_size = batch_size
        self.colored = colored
        self._order = torch.Generator().manual_seed(seed)
        self._geometry = torch.Generator().manual_seed(seed + 2**32)
        self._queue = torch.empty(0, dtype=torch.long)
        # Looked up once on the host, as asking the device at each step would wait for it.
        self._complete = {
            name: tiles.valid[name].flatten(1).all(dim=1).cpu() for name in modalities
        }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self.next_batch()

    def next_indices(self) -> Tensor:
        """Draw the tiles (B,) of the next batch: all in a random order, then again."""
        while len(self._queue) < self.batch_size:
            order = torch.randperm(len(self.tiles), generator=self._order)
            self._queue = torch.cat([self._queue, order])
        indices, self._queue = self._queue.split(
            [self.batch_size, len(self._queue) - self.batch_size]
        )
        return indices

    def next_batch(self) -> dict[str, Any]:
        """Cut the next batch.

        Returns:
            ``inputs`` {m: (B, C_m, H, W)} float32, ``valid`` {m: (B, 1, H, W)} and
            ``data_samples``, which is None.
        """
        indices = self.next_indices()
        tile = next(iter(self.tiles.images.values()))
        device, host = tile.device, torch.device('cpu')
        # Drawn on the host, so that the windows are the same on any device.
        drawn = crop_parameters(
            self.batch_size,
            (tile.shape[-2], tile.shape[-1]),
            host,
            self._geometry,
            self.crops.scale,
            self.crops.ratio,
            self.crops.flip,
        )
        factors = draw_colors(self.batch_size, self.crops, self._geometry)

        parts = CropParameters(*(value.to(device, non_blocking=True) for value in drawn))
        points = source_points(parts, (self.crops.size, self.crops.size))
        chosen = indices.to(device, non_blocking=True)
        inputs, valid = {}, {}
        for name in self.modalities:
            complete = bool(self._complete[name][indices].all())
            known = None if complete else self.tiles.valid[name][chosen]
            inputs[name], known = crop(self.tiles.images[name][chosen], known, points)
            if known is None:
                known = torch.ones_like(inputs[name][:, :1], dtype=torch.bool)
            valid[name] = known
        if self.colored in inputs and (self.crops.brightness or self.crops.contrast):
            image = inputs[self.colored]
            inputs[self.colored] = change_colors(
                image, valid[self.colored], factors.to(image.device)
            )
        return dict(inputs=inputs, valid=valid, data_samples=None)
