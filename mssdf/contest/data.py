"""Tiles that all recipes of a contest share."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mssdf.contest.tiles import Tiles, load_tiles, read_tiles_of_folders, save_tiles
from mssdf.errors import UsageError
from mssdf.rasters.identity import raster_facts
from mssdf.rasters.scenes import ModalitySettings, resolve_data_root, scan_folder
from mssdf.utils.folders import list_folder
from mssdf.utils.modality_keys import VALUES, without

FOLDER = 'patch'


def dataset_of(name: str, config: Config) -> Mapping[str, Any]:
    """Return the dataset of an entry's config.

    Raises:
        UsageError: if the config has no dataset that reads rasters.
    """
    dataset = config.get('train_dataloader', {}).get('dataset', {})
    if not dataset.get('modalities'):
        raise UsageError(
            f'{name}: expected train_dataloader.dataset.modalities in the config, found none'
        )
    return dataset


def common_modalities(configs: Mapping[str, Config]) -> tuple[dict[str, Any], list[str]]:
    """Merge the modalities of all configs' datasets, and list those relative to a median.

    Args:
        configs: configs by the names of their entries.

    Raises:
        UsageError: if two configs read one modality from different files.
    """
    modalities: dict[str, Any] = {}
    relative = []
    for name, config in configs.items():
        for modality, settings in dataset_of(name, config)['modalities'].items():
            settings = without(VALUES, settings)
            if modalities.setdefault(modality, settings) != settings:
                raise UsageError(
                    f'{name}: expected modality {modality!r} read as {modalities[modality]} as by '
                    f'the other entries, found {settings}'
                )
        for modality, settings in config.model.data_preprocessor.get('modalities', {}).items():
            if settings.get('relative_to_median') and modality not in relative:
                relative.append(modality)
    return modalities, relative


def facts_of(root: str, modalities: Mapping[str, Any]) -> list[list[Any]]:
    """List names, sizes and times of a folder's rasters and of all files that affect them.

    Args:
        root: folder of data.
        modalities: settings of all modalities to read.

    Raises:
        FileNotFoundError: if the folder lacks the files of all modalities.
    """
    settings = {name: ModalitySettings.from_config(name, one) for name, one in modalities.items()}
    folder = resolve_data_root(root)
    paths = [
        file.path
        for scene in scan_folder(folder, FOLDER, settings)
        for file in scene.files.values()
    ]
    listing = cache(list_folder)
    facts = {fact for path in paths for fact in raster_facts(path, listing)}
    return [[_below(name, folder), *rest] for name, *rest in sorted(facts, key=str)]


def _below(name: str, folder: str) -> str:
    """Return a file's name relative to a folder, so that data may be moved, or its full name."""
    path = Path(name)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else name


def _checked(root: str) -> str:
    """Return the folder if it exists.

    Raises:
        FileNotFoundError: if it does not exist.
    """
    if not Path(resolve_data_root(root)).is_dir():
        raise FileNotFoundError(
            f'--data (default: data_root of the configs): expected a folder, found none at {root}'
        )
    return root


def prepare_tiles(
    out: Path,
    roots: Sequence[str] | None,
    configs: Mapping[str, Config],
    modalities: Mapping[str, Any],
    relative: Sequence[str],
    tile_size: int,
) -> Tiles:
    """Read the tiles, or load those of an earlier call that were made from the same files.

    Args:
        out: folder of the contest, which keeps them as ``tiles.npz``.
        roots: folders of data; None takes those of the configs' datasets.
        configs: configs by the names of their entries.
        modalities: settings of all modalities to read.
        relative: names of the modalities that are kept relative to the tile's median.
        tile_size: side of a tile in pixels.

    Raises:
        FileNotFoundError: if a folder is missing or lacks the files of all modalities.
        ValueError: if the tiles of an earlier call are damaged.
    """
    if not roots:
        roots = sorted({str(dataset_of(name, one)['data_root']) for name, one in configs.items()})
    source = dict(
        roots=[str(Path(root).absolute()) for root in roots],
        modalities=dict(modalities),
        relative=list(relative),
        tile_size=tile_size,
        files=[facts_of(root, modalities) for root in map(_checked, roots)],
    )
    path = out / 'tiles.npz'
    tiles = load_tiles(path, source)
    if tiles is None:
        tiles = read_tiles_of_folders(roots, modalities, tile_size, relative, FOLDER)
        save_tiles(tiles, path, source)
    return tiles
