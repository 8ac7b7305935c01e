"""Tiles of a small data set in memory, for experiments that must not wait for disks."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mssdf.datasets.multi_modal_raster import MultiModalRasterDataset
from mssdf.utils.atomic_file import partial_file
from mssdf.utils.progress import track

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)  # of a damaged .npz file


@dataclass
class Tiles:
    """Square tiles of all modalities; a missing modality is zero and invalid everywhere.

    Attributes:
        images: values (T, C_m, S, S) of each modality: uint8 as in the files, float16 for values
            relative to the tile's median, float32 for all others.
        valid: validity (T, 1, S, S) of each modality, bool.
        scenes: name of the scene of each tile, T of them.
    """

    images: dict[str, Tensor]
    valid: dict[str, Tensor]
    scenes: list[str]

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(self.images)

    @property
    def size(self) -> int:
        """Side of a tile in pixels."""
        return int(next(iter(self.images.values())).shape[-1])

    def present(self, modality: str) -> Tensor:
        """Find the tiles (T,) bool that have a modality at all."""
        return self.valid[modality].flatten(1).any(dim=1)

    def to(self, device: torch.device | str) -> 'Tiles':
        """Copy the tiles to another device."""
        return Tiles(
            {name: image.to(device) for name, image in self.images.items()},
            {name: valid.to(device) for name, valid in self.valid.items()},
            self.scenes,
        )

    def describe(self) -> str:
        """Describe the numbers of tiles, scenes and tiles with each modality."""
        counts = ', '.join(f'{int(self.present(name).sum())} with {name}' for name in self.images)
        return (
            f'{len(self)} tiles of {self.size} x {self.size} pixels from {len(set(self.scenes))} '
            f'scenes: {counts}'
        )

    def statistics(self, modality: str) -> dict[str, list[float]]:
        """Compute mean and standard deviation of each band over all valid pixels."""
        image, valid = self.images[modality], self.valid[modality]
        count = valid.sum(dtype=torch.float64).clamp(min=1)
        mean, std = [], []
        for band in range(image.shape[1]):
            # In parts, as float64 of all tiles would take eight times their memory.
            parts = [
                values[:, band : band + 1][known].double()
                for values, known in zip(image.split(64), valid.split(64), strict=True)
            ]
            average = torch.stack([part.sum() for part in parts]).sum() / count
            square = torch.stack([(part - average).square().sum() for part in parts]).sum()
            mean.append(float(average))
            std.append(float((square / count).sqrt()))
        return dict(mean=mean, std=std)


def concatenate_tiles(parts: Sequence[Tiles]) -> Tiles:
    """Concatenate the tiles of several data sets.

    Raises:
        ValueError: if a modality has another type or band count in one of them.
    """
    for name, first in parts[0].images.items():
        for part in parts[1:]:
            found = part.images[name]
            if found.dtype != first.dtype or found.shape[1] != first.shape[1]:
                raise ValueError(
                    f'modality {name!r}: expected {first.shape[1]} bands of {first.dtype} in all '
                    f'data sets, found {found.shape[1]} of {found.dtype}'
                )
    names = parts[0].modalities
    return Tiles(
        {name: torch.cat([part.images[name] for part in parts]) for name in names},
        {name: torch.cat([part.valid[name] for part in parts]) for name in names},
        [scene for part in parts for scene in part.scenes],
    )


def read_tiles(dataset: MultiModalRasterDataset, relative: Sequence[str] = ()) -> Tiles:
    """Read every window of a dataset's grid once.

    Args:
        dataset: dataset of rasters with ``windows=dict(mode='grid')``, whose window size is that of
            the tiles.
        relative: names of modalities (heights) whose values become relative to the median of the
            tile's valid pixels, so that float16 represents them.

    Raises:
        ValueError: if no tile is left.
    """
    images: dict[str, list[Tensor]] = {name: [] for name in dataset.modalities}
    valid: dict[str, list[Tensor]] = {name: [] for name in dataset.modalities}
    scenes = []
    for index in track(range(len(dataset)), len(dataset), 'reading tiles'):
        window = dataset.read_window(index)
        if window is None:  # the dataset has named and counted the unreadable file
            continue
        for name, image in window['images'].items():
            known = window['valid'][name]
            images[name].append(_to_tensor(image, known, name in relative))
            valid[name].append(torch.from_numpy(np.ascontiguousarray(known))[None])
        scenes.append(str(window['scene']))
    if not scenes:
        raise ValueError(f'{dataset.data_root}: expected at least one usable tile, found none')
    return Tiles(
        {name: torch.stack(values) for name, values in images.items()},
        {name: torch.stack(values) for name, values in valid.items()},
        scenes,
    )


def _to_tensor(image: NDArray, valid: NDArray[np.bool_], relative: bool) -> Tensor:
    """Convert one image (H, W, C) to (C, H, W) in the type that its tiles are kept in."""
    if relative:
        values = image.astype(np.float64)
        median = np.median(values[:, valid]) if valid.any() else 0.0
        image = np.where(valid, values - median, 0.0).astype(np.float16)
    elif image.dtype != np.uint8:
        image = image.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(image))


def read_tiles_of_folders(
    roots: Sequence[str],
    modalities: Mapping[str, Mapping[str, Any] | None],
    tile_size: int = 256,
    relative: Sequence[str] = (),
    folder: str = 'patch',
    max_invalid: float = 0.5,
) -> Tiles:
    """Read folders of pairs completely, cut into tiles side by side.

    Where a scene is not a whole number of tiles, the last row and column are shifted inwards.

    Args:
        roots: folders of data, each with ``folder``/NAME<suffix>.
        modalities: settings of each modality; see :class:`~mssdf.datasets.MultiModalRasterDataset`.
        tile_size: side of a tile in pixels.
        relative: names of modalities that are kept relative to the tile's median.
        folder: name of the sub-folder with the rasters.
        max_invalid: largest share of invalid pixels in a modality that counts as present.
    """
    parts = []
    for root in roots:
        dataset = MultiModalRasterDataset(
            data_root=root,
            modalities=modalities,
            index=dict(folder=folder, cache_dir=''),
            windows=dict(size=tile_size, mode='grid', max_invalid_per_window=max_invalid),
        )
        parts.append(read_tiles(dataset, relative))
    return concatenate_tiles(parts)


def save_tiles(tiles: Tiles, path: str | Path, source: Mapping[str, Any]) -> None:
    """Write tiles to an .npz file, completely or not at all, with a record of their source."""
    arrays: dict[str, Any] = {
        'source': np.array(json.dumps(source, sort_keys=True)),
        'scenes': np.array(tiles.scenes),
    }
    for name in tiles.modalities:
        arrays[f'images_{name}'] = tiles.images[name].cpu().numpy()
        arrays[f'valid_{name}'] = np.packbits(tiles.valid[name].cpu().numpy(), axis=-1)
    with partial_file(path) as partial, open(partial, 'wb') as file:
        np.savez(file, **arrays)


def load_tiles(path: str | Path, source: Mapping[str, Any] | None = None) -> Tiles | None:
    """Read tiles from a file.

    Args:
        path: path of a file of :func:`save_tiles`.
        source: record of the source that the tiles must have; None accepts any.

    Returns:
        Tiles; None if the file does not exist or has another source.

    Raises:
        ValueError: if the file is damaged.
    """
    if not Path(path).is_file():
        return None
    try:
        return _read_tiles(path, source)
    except DAMAGE as error:
        raise ValueError(
            f'{path}: expected tiles of save_tiles, found a damaged file ({error}); without it '
            'they are read again'
        ) from None


def _read_tiles(path: str | Path, source: Mapping[str, Any] | None) -> Tiles | None:
    with np.load(path, allow_pickle=False) as arrays:
        if source is not None and str(arrays['source']) != json.dumps(source, sort_keys=True):
            return None
        names = [key.removeprefix('images_') for key in arrays if key.startswith('images_')]
        images = {name: torch.from_numpy(arrays[f'images_{name}']) for name in names}
        valid = {}
        for name, image in images.items():
            bits = np.unpackbits(arrays[f'valid_{name}'], axis=-1, count=image.shape[-1])
            valid[name] = torch.from_numpy(bits.view(np.bool_))
        return Tiles(images, valid, [str(scene) for scene in arrays['scenes']])
