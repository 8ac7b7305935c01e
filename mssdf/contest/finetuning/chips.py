"""Chips of web mercator tiles as a set of masks, split by the ground that they show."""

from pathlib import Path

import numpy as np

from mssdf.evaluation.frozen.buildings import GROUND_ZOOM, Chip, building_chips, chip_layers
from mssdf.preparation.image_files import write_png
from mssdf.utils.atomic_file import write_atomically

from .fingerprint import fingerprint

TRAINING_SHARE = 0.6


def ground_columns(chip: Chip) -> range:
    """Return the columns of ``GROUND_ZOOM`` that a chip of any zoom shows."""
    step = chip.zoom - GROUND_ZOOM
    if step >= 0:
        return range(chip.x >> step, (chip.x >> step) + 1)
    return range(chip.x << -step, (chip.x + 1) << -step)


def split_by_ground(chips: list[Chip]) -> dict[str, list[Chip]]:
    """Split chips of several zooms so that no ground is on both sides.

    The western columns of ground are for training. Chips that show columns of both sides, and the
    column next to the training ground, are left out.

    Args:
        chips: chips of one set.

    Raises:
        ValueError: if one side is empty.
    """
    columns = sorted({column for chip in chips for column in ground_columns(chip)})
    last = columns[max(round(TRAINING_SHARE * len(columns)), 1) - 1]
    splits = dict(
        train=[chip for chip in chips if ground_columns(chip)[-1] <= last],
        val=[chip for chip in chips if ground_columns(chip)[0] > last + 1],
    )
    if not all(splits.values()):
        raise ValueError(
            f'{chips[0].path.parent}: expected chips of more ground, found {len(columns)} columns '
            f'of tiles of zoom {GROUND_ZOOM}, too few for a split with one column between'
        )
    return splits


def lay_out_chips(folder: Path, out: Path) -> Path:
    """Write images and masks of a folder of chips with ``labels.geojson``, unless they exist.

    Args:
        folder: folder of chips that are named after their tiles, with outlines of buildings.
        out: root of the set to write.

    Returns:
        Root of the set.

    Raises:
        FileExistsError: if ``out`` holds the chips of another folder, or of earlier files of this
            one.
    """
    done, origin = out / '.done', f'{folder.absolute()}\n{fingerprint(folder)}'
    if done.exists():
        found = done.read_text()
        if found != origin:
            raise FileExistsError(
                f'{out}: expected chips of {folder.absolute()} as its files are now, found those '
                f'of {found.splitlines()[0]} laid out before; choose another --out'
            )
        return out

    for split, chips in split_by_ground(list(building_chips(folder))).items():
        for chip in chips:
            layers = chip_layers(chip)
            name = f'{chip.zoom}-{chip.x}-{chip.y}.png'
            write_png(out / 'img_dir' / split / name, layers.rgb)
            write_png(out / 'ann_dir' / split / name, np.asarray(layers.labels, np.uint8))
    write_atomically(done, origin.encode())
    return out
