"""All examples by the name of the data set whose layout they have."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from mssdf.datasets.tasks.classes import AID, EUROSAT, NWPU_RESISC45, UC_MERCED
from mssdf.errors import MissingFileError
from mssdf.utils.progress import track

from .apart import autzen_ign_heights, kampala_buildings
from .change import levir_cd, second
from .classification import eurosat_scenes, sentinel_scenes
from .dense import isaid, loveda, potsdam, us3d, vaihingen
from .detection import dior, dota, nwpu_vhr10

LAYOUTS: dict[str, Callable[[Path, Path], None]] = {
    'aid': partial(eurosat_scenes, classes=list(AID), dataset='aid'),
    'nwpu-resisc45': partial(eurosat_scenes, classes=list(NWPU_RESISC45), dataset='nwpu-resisc45'),
    'ucm': partial(eurosat_scenes, classes=list(UC_MERCED), dataset='ucm'),
    'eurosat': partial(eurosat_scenes, classes=list(EUROSAT), dataset='eurosat'),
    'eurosat-ms': partial(sentinel_scenes, classes=list(EUROSAT)),
    'potsdam': potsdam,
    'vaihingen': vaihingen,
    'loveda': loveda,
    'isaid': isaid,
    'us3d': us3d,
    'levir-cd': levir_cd,
    'whu-cd': levir_cd,
    'second': second,
    'dior': dior,
    'nwpu-vhr10': nwpu_vhr10,
    'dota': dota,
    'kampala-buildings': kampala_buildings,
    'autzen-ign-heights': autzen_ign_heights,
}


def make_examples(source: Path, out: Path, names: Iterable[str] = tuple(LAYOUTS)) -> list[Path]:
    """Make the named examples; complete ones are left as they are.

    Args:
        source: folder of the imagery that ships (``tests/data``).
        out: folder that gets one folder per data set.
        names: names in ``LAYOUTS``.

    Returns:
        Roots of the data sets.

    Raises:
        FileNotFoundError: if the imagery is missing.
        ValueError: if a name is unknown.
    """
    names = list(names)
    unknown = sorted(set(names) - set(LAYOUTS))
    if unknown:
        raise ValueError(f'data sets: expected some of {list(LAYOUTS)}, found {unknown}')
    if not (source / 'autzen').is_dir():
        raise MissingFileError(source, 'the folder autzen of the imagery that ships')
    roots = []
    for name in track(names, len(names), 'examples'):
        root, done = out / name, out / f'.{name}.done'
        if not done.exists():
            LAYOUTS[name](source, root)
            done.touch()
        roots.append(root)
    return roots
