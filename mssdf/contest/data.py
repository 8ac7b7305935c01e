"""Tiles that all recipes of a contest share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mssdf.apis.errors import UsageError
from mssdf.datasets.in_memory import Tiles, load_tiles, read_tiles_of_folders, save_tiles


def dataset_of(name: str, config: Config) -> Mapping[str, Any]:
    """The dataset of an entry's config.

    Raises:
        UsageError: if it has none that reads rasters.
    """
    dataset = config.get('train_dataloader', {}).get('dataset', {})
    if not dataset.get('modalities'):
        raise UsageError(
            f'{name}: expected train_dataloader.dataset.modalities in the config, found none'
        )
    return dataset


def common_modalities(configs: Mapping[str, Config]) -> tuple[dict[str, Any], list[str]]:
    """Modalities of all configs' datasets together, and which of them are relative to a median.

    Args:
        configs: the configs by the names of their entries.

    Raises:
        UsageError: if two configs read one modality from different files.
    """
    modalities: dict[str, Any] = {}
    relative = []
    for name, config in configs.items():
        for modality, settings in dataset_of(name, config)['modalities'].items():
            settings = dict(settings or {})
            if modalities.setdefault(modality, settings) != settings:
                raise UsageError(
                    f'{name}: expected modality {modality!r} read as {modalities[modality]} as by '
                    f'the other entries, found {settings}'
                )
        for modality, settings in config.model.data_preprocessor.get('modalities', {}).items():
            if settings.get('relative_to_median') and modality not in relative:
                relative.append(modality)
    return modalities, relative


def prepare_tiles(
    out: Path,
    roots: Sequence[str] | None,
    configs: Mapping[str, Config],
    modalities: Mapping[str, Any],
    relative: Sequence[str],
    tile_size: int,
) -> Tiles:
    """Read the tiles, or take those of an earlier call that were made from the same data.

    Args:
        out: folder that keeps them as ``tiles.npz``.
        roots: folders of data; None takes those of the configs' datasets.
        configs: the configs by the names of their entries.
        modalities: settings of all modalities to read.
        relative: modalities kept relative to the tile's median.
        tile_size: side of a tile in pixels.
    """
    if not roots:
        roots = sorted({str(dataset_of(name, one)['data_root']) for name, one in configs.items()})
    source = dict(
        roots=[str(Path(root).absolute()) for root in roots],
        modalities=dict(modalities),
        relative=list(relative),
        tile_size=tile_size,
    )
    path = out / 'tiles.npz'
    tiles = load_tiles(path, source)
    if tiles is None:
        tiles = read_tiles_of_folders(roots, modalities, tile_size, relative)
        save_tiles(tiles, path, source)
    return tiles
