"""Two dates of shipped orthophotos, of which the second is synthetic, and so are the changes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..image_files import write_png
from .dense import read_autzen
from .derive import land_cover, later_date
from .source_tiles import tiles

SPLITS = dict(train=('train',), val=('val', 'test'))


def pairs(source: Path, size: int, seed: int = 0) -> Iterator[tuple[str, str, dict[str, NDArray]]]:
    """Yield split, name and the maps of each tile.

    The maps are ``before``, ``after``, ``changed`` and the land cover of both dates.
    """
    rgb, heights = read_autzen(source)
    cover = land_cover(rgb, heights)
    rng = np.random.default_rng(seed)
    by_split: dict[str, list[tuple[str, tuple[slice, slice]]]] = {}

    for split, name, place in tiles(cover.shape, size):
        by_split.setdefault(split, []).append((name, place))

    # A later date takes patches of another place of its own split, so that no ground is shared.
    for split, places in by_split.items():
        for index, (name, place) in enumerate(places):
            other = places[(index + len(places) // 2) % len(places)][1]
            after, inside = later_date(rgb[place], rgb[other], rng)
            later_cover = np.where(inside, cover[other], cover[place])
            yield (
                split,
                name,
                dict(
                    before=rgb[place],
                    after=after,
                    changed=inside & (later_cover != cover[place]),
                    first=cover[place],
                    second=later_cover,
                ),
            )


def levir_cd(source: Path, out: Path, size: int = 256) -> None:
    """Write pairs that are changed where another land cover was inserted."""
    for split, name, pair in pairs(source, size):
        for folder in SPLITS[split]:
            write_png(out / f'{folder}/A/{name}.png', pair['before'])
            write_png(out / f'{folder}/B/{name}.png', pair['after'])
            write_png(out / f'{folder}/label/{name}.png', pair['changed'].astype(np.uint8) * 255)


def second(source: Path, out: Path, size: int = 256) -> None:
    """Write the land cover of both dates, as indices, where it changed.

    Pixels of unknown land cover are unknown (255).
    """
    # Indexed by: not labeled, impervious, building, low vegetation, tree, car, clutter.
    to_second = np.array([255, 2, 5, 3, 4, 2, 1], np.uint8)
    for split, name, pair in pairs(source, size):
        folder = 'test' if split == 'val' else 'train'
        first, later = to_second[pair['first']], to_second[pair['second']]
        changed = first != later
        write_png(out / f'{folder}/im1/{name}.png', pair['before'])
        write_png(out / f'{folder}/im2/{name}.png', pair['after'])
        write_png(out / f'{folder}/label1_index/{name}.png', np.where(changed, first, 0))
        write_png(out / f'{folder}/label2_index/{name}.png', np.where(changed, later, 0))
