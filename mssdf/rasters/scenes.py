"""The files of each scene, by a folder's layout, a list, or an index file."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mssdf.errors import ConfigError, MissingFileError, UnknownKeyError
from mssdf.utils.folders import has_suffix, is_hidden
from mssdf.utils.modality_keys import VALUES, without
from mssdf.utils.options import check_keys

from .band_source import MASKS, NODATA_RULES
from .index_files import path_in_index, read_index
from .resample import RESAMPLINGS
from .units import check_unit


@dataclass(frozen=True)
class ModalitySettings:
    """The settings of one modality, by which its files are found and read; the config's keys.

    Attributes:
        suffix: part of the file names of the HR-Pairs layout that follows NAME.
        bands: band numbers from 1; None takes all but an alpha band.
        resampling: ``'auto'``, ``'average'``, ``'bilinear'`` or ``'nearest'``, where the grid is
            not the reference's.
        nodata: None takes the file's value, a number replaces it, ``'ignore'`` does without.
        nodata_rule: ``'auto'``, ``'any'`` or ``'all'``: see
            ``mssdf.rasters.band_source.make_source``.
        mask: ``'auto'`` uses alpha and mask bands, ``'none'`` ignores them.
        dtype: ``'float32'`` hands out floats whatever the files hold; None keeps their type.
        unit: unit of heights, which come in meters: None takes what the file declares, a name
            such as ``'ft'`` replaces it, ``'ignore'`` does without.
    """

    suffix: str | None = None
    bands: tuple[int, ...] | None = None
    resampling: str = 'auto'
    nodata: float | str | None = None
    nodata_rule: str = 'auto'
    mask: str = 'auto'
    dtype: str | None = None
    unit: str | None = None

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any] | None) -> 'ModalitySettings':
        """Check a modality's part of the config.

        Raises:
            KeyError: if a key does not exist.
            ValueError: if a value is not allowed.
        """
        where = f'modalities.{name}'
        if isinstance(config, Mapping):  # else refused below
            config = without(VALUES, config)
        config = check_keys(cls, where, config)
        if config.get('bands') is not None:
            config['bands'] = _check_bands(where, config['bands'])

        settings = cls(**config)
        for key, allowed in (
            ('resampling', RESAMPLINGS),
            ('nodata_rule', NODATA_RULES),
            ('mask', MASKS),
            ('dtype', (None, 'float32')),
        ):
            if getattr(settings, key) not in allowed:
                raise ConfigError(f'{where}.{key}', f'one of {allowed}', getattr(settings, key))

        nodata = settings.nodata
        if isinstance(nodata, bool) or not (
            nodata is None or nodata == 'ignore' or isinstance(nodata, int | float)
        ):
            raise ConfigError(f'{where}.nodata', "a number or 'ignore'", nodata)
        check_unit(f'{where}.unit', settings.unit)
        return settings


@dataclass(frozen=True)
class ModalityFile:
    """The file of one modality of a scene; ``bands`` overrides the modality's."""

    path: str
    bands: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SceneFiles:
    """A scene's name and its file per modality; a missing modality has no entry."""

    name: str
    files: dict[str, ModalityFile] = field(default_factory=dict)


def resolve_data_root(data_root: str | os.PathLike | None) -> str:
    """Return the config's folder or, if it is empty, that of the variable ``MSSDF_DATA``."""
    return os.path.expanduser(str(data_root or os.environ.get('MSSDF_DATA') or ''))


def require_folder(folder: str | os.PathLike, expected: str) -> Path:
    """Return a folder as a path.

    Args:
        folder: path of the folder, which may be ''.
        expected: words for the files that should be in it, for the error.

    Raises:
        FileNotFoundError: if it is not there.
    """
    path = Path(folder)
    if str(folder) and path.is_dir():
        return path
    raise MissingFileError(
        'data_root',
        f'{expected} in a folder',
        str(folder) or None,
        note='set data_root in the config or on the command line, or the variable MSSDF_DATA',
    )


def scan_folder(
    data_root: str, folder: str, modalities: Mapping[str, ModalitySettings]
) -> list[SceneFiles]:
    """Find scenes of the HR-Pairs layout, ``data_root/folder/NAME<suffix>``, sorted by NAME.

    Where one suffix ends like another (``.tif`` and ``_dsm.tif``), the longest decides. Suffixes
    may stand in capitals; hidden files do not count.

    Raises:
        FileNotFoundError: when the folder is missing or holds no file with one of the suffixes.
        ValueError: when a modality has no suffix, or two have the same; when two files of a scene
            differ in capitals alone.
    """
    suffixes = {name: settings.suffix for name, settings in modalities.items()}
    lacking = [name for name, suffix in suffixes.items() if not suffix]
    if lacking or len(set(suffixes.values())) < len(suffixes):
        raise ConfigError(
            'modalities', 'a suffix of its own for each, as scenes are not listed', suffixes
        )

    layout = ', '.join(f'NAME{suffix}' for suffix in suffixes.values())
    root = require_folder(Path(data_root, folder) if data_root else '', f'files {layout}')
    by_length = sorted(suffixes.items(), key=lambda item: -len(item[1] or ''))
    found: dict[str, dict[str, ModalityFile]] = {}
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if is_hidden(entry.name):
                continue
            for modality, suffix in by_length:
                if suffix and has_suffix(entry.name, suffix) and len(entry.name) > len(suffix):
                    _add_file(found.setdefault(entry.name[: -len(suffix)], {}), modality, entry)
                    break

    if not found:
        raise FileNotFoundError(f'{root}: expected files {layout}, found none')
    return [
        SceneFiles(name, {m: found[name][m] for m in modalities if m in found[name]})
        for name in sorted(found)
    ]


def _add_file(scene: dict[str, ModalityFile], modality: str, entry: os.DirEntry[str]) -> None:
    if modality in scene:
        raise ValueError(
            f'{entry.path}: expected one file of modality {modality!r} in a scene, found '
            f'{scene[modality].path} too'
        )
    scene[modality] = ModalityFile(entry.path)


def list_scenes(
    scenes: Sequence[Mapping[str, Any]] | str | os.PathLike,
    data_root: str,
    modalities: Mapping[str, ModalitySettings],
) -> list[SceneFiles]:
    """Parse scenes of the config's list, or of a JSON, YAML or CSV file of the same content.

    Relative paths count from ``data_root``; in an index file, without one, from the file's folder,
    below which its paths must lie.

    Raises:
        FileNotFoundError: when the index file is missing.
        KeyError: on a key that is no modality.
        ValueError: on a scene without files, or an index that is not a list of scenes.
    """
    if isinstance(scenes, str | os.PathLike):
        path = _find_index(scenes, data_root)
        base = data_root or str(path.parent)
        return [
            _parse_scene(where, entry, base, modalities, path_in_index)
            for where, entry in read_index(path, modalities)
        ]
    if not isinstance(scenes, Sequence) or not scenes:
        raise ConfigError('scenes', 'a list of scenes', scenes)
    return [
        _parse_scene(f'scenes[{i}]', entry, data_root, modalities, _path_in_config)
        for i, entry in enumerate(scenes)
    ]


def _find_index(scenes: str | os.PathLike, data_root: str) -> Path:
    candidates = [Path(data_root, scenes), Path(scenes)] if data_root else [Path(scenes)]
    for path in candidates:
        if path.is_file():
            return path
    raise MissingFileError('scenes', f'an index file at {" or ".join(map(str, candidates))}')


def _path_in_config(where: str, value: str, base: str) -> str:
    return os.path.join(base, os.path.expanduser(value))


def _parse_scene(
    where: str,
    entry: Any,
    base: str,
    modalities: Mapping[str, ModalitySettings],
    locate: Callable[[str, str, str], str],
) -> SceneFiles:
    if not isinstance(entry, Mapping):
        raise ConfigError(where, 'a mapping of modality to file', entry)
    unknown = sorted(str(key) for key in entry if key not in modalities and key != 'name')
    if unknown:
        raise UnknownKeyError(where, f'some of {list(modalities)}', unknown)

    files = {}
    for modality in modalities:
        value = entry.get(modality)
        if not value:
            continue
        value = dict(value) if isinstance(value, Mapping) else dict(path=str(value))
        if not value.get('path') or set(value) - {'path', 'bands'}:
            raise ConfigError(f'{where}.{modality}', 'a path or dict(path=..., bands=...)', value)
        bands = value.get('bands')
        files[modality] = ModalityFile(
            path=locate(f'{where}.{modality}', str(value['path']), base),
            bands=None if bands is None else _check_bands(f'{where}.{modality}', bands),
        )

    if not files:
        raise ConfigError(where, f'a file for one of {list(modalities)}')
    first = next(iter(files.values())).path
    return SceneFiles(str(entry.get('name') or Path(first).stem), files)


def _check_bands(where: str, bands: Any) -> tuple[int, ...]:
    if (
        isinstance(bands, str | Mapping)
        or not isinstance(bands, Sequence)
        or not bands
        or not all(
            isinstance(band, int) and not isinstance(band, bool) and band >= 1 for band in bands
        )
    ):
        raise ConfigError(f'{where}.bands', 'a list of band numbers from 1', bands)
    return tuple(bands)
