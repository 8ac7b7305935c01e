"""EuroSAT's images in the folders of the scene classification sets."""

from pathlib import Path

import numpy as np

from mssdf.utils.atomic_file import write_atomically

from ..image_files import write_tif
from .source_tiles import read_bands

# Classes of the other sets that are closest to EuroSAT's; the images remain EuroSAT's.
NAMES = {
    'aid': dict(
        AnnualCrop='Farmland',
        Forest='Forest',
        HerbaceousVegetation='Meadow',
        Highway='Viaduct',
        Industrial='Industrial',
        Pasture='BareLand',
        PermanentCrop='Park',
        Residential='DenseResidential',
        River='River',
        SeaLake='Pond',
    ),
    'nwpu-resisc45': dict(
        AnnualCrop='rectangular_farmland',
        Forest='forest',
        HerbaceousVegetation='chaparral',
        Highway='freeway',
        Industrial='industrial_area',
        Pasture='meadow',
        PermanentCrop='terrace',
        Residential='dense_residential',
        River='river',
        SeaLake='lake',
    ),
    'ucm': dict(
        AnnualCrop='agricultural',
        Forest='forest',
        HerbaceousVegetation='chaparral',
        Highway='freeway',
        Industrial='buildings',
        Pasture='golfcourse',
        PermanentCrop='mobilehomepark',
        Residential='denseresidential',
        River='river',
        SeaLake='harbor',
    ),
}


def write_splits(out: Path, classes: list[str], files: dict[str, list[str]]) -> None:
    """Write the lists of images and labels: 70 % for training, and a fifth of these in a list."""
    lists: dict[str, list[str]] = dict(train=[], train_20=[], test=[])
    for name in sorted(files):
        label = classes.index(name)
        lines = [f'{path} {label}' for path in sorted(files[name])]
        count = round(0.7 * len(lines))
        lists['train'] += lines[:count]
        lists['train_20'] += lines[: max(round(0.2 * count), 1)]
        lists['test'] += lines[count:]
    for split, lines in lists.items():
        write_atomically(out / 'splits' / f'{split}.txt', ('\n'.join(lines) + '\n').encode())


def eurosat_scenes(source: Path, out: Path, classes: list[str], dataset: str) -> None:
    """Write EuroSAT's images under the folder names of a data set.

    Args:
        source: folder of the imagery that ships.
        out: root of the data set.
        classes: names of the classes in the order of the labels.
        dataset: key of ``NAMES``, or ``'eurosat'``.
    """
    files: dict[str, list[str]] = {}
    for path in sorted((source / 'eurosat_rgb').glob('*/*.jpg')):
        name = NAMES.get(dataset, {}).get(path.parent.name, path.parent.name)
        target = f'{name}/{path.name}'
        write_atomically(out / target, path.read_bytes())
        files.setdefault(name, []).append(target)
    write_splits(out, classes, files)


def sentinel_scenes(source: Path, out: Path, classes: list[str]) -> None:
    """Write pieces of Sentinel-2 scenes with 13 bands in the layout of EuroSAT-MS.

    Their labels are derived: the thirds of the vegetation index are Forest, Pasture and
    Residential, water is SeaLake. The cirrus band, which level 2A lacks, is 0.
    """
    files: dict[str, list[str]] = {}
    for path in sorted((source / 'terramind').glob('s2_*.tif')):
        bands, _ = read_bands(path)
        level_1c = np.insert(bands, [9], 0, axis=2)  # B10 goes between B09 (after B8A) and B11
        # B8A precedes B09 here, while EuroSAT has it last.
        level_1c = np.concatenate([np.delete(level_1c, 8, 2), level_1c[..., 8:9]], axis=2)
        for top in range(0, bands.shape[0] - 63, 64):  # no overlap between the sides
            for left in range(0, bands.shape[1] - 63, 64):
                piece = level_1c[top : top + 64, left : left + 64].clip(0).astype(np.uint16)
                red, near, green = (piece[..., band].mean() for band in (3, 7, 2))
                index = (near - red) / (near + red)
                water = (green - near) / (green + near) > 0
                greenest = 'Forest' if index > 0.6 else 'Pasture' if index > 0.3 else 'Residential'
                name = 'SeaLake' if water else greenest
                target = f'{name}/{path.stem}_{top}_{left}.tif'
                write_tif(out / target, piece)
                files.setdefault(name, []).append(target)
    write_splits(out, classes, files)
