"""Make the imagery of this folder from the original files.

Not needed to use the project: kept as the exact record of what was taken and what was changed.
``SOURCE`` holds one folder per origin, with the names used in :func:`main`; see the
``ATTRIBUTION.md`` of each folder for where the originals come from.

Usage: ``python tests/data/prepare.py SOURCE [TARGET]``
"""

from __future__ import annotations

import argparse
import random
import shutil
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.enums import ColorInterp

EUROSAT_PER_CLASS = 60
EUROSAT_SEED = 0
HEIGHT_STEP = 1 / 64  # meters
URBAN_TREES = (  # lossless; the other crops are compressed as JPEG
    'chico_2020_18',
    'claremont_2020_12',
    'long_beach_2020_13',
    'riverside_2020_15',
)
URBAN_TREES_QUALITY = 75
TERRAMIND = ('282D_485L_3_3', '433D_629L_3_1', '637U_59R_1_3')
WITHOUT_S2 = '637U_59R_1_3'  # a scene that lacks a modality, and half a megabyte less
BUILDINGS_ZOOM = 20  # of the three zooms of the same ground: 0.15 m
IDTREES = ('MLBS_1', 'MLBS_12', 'MLBS_23', 'MLBS_34')


def write(
    source: Path,
    target: Path,
    *,
    bands: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    block: int = 256,
    colors: tuple[ColorInterp, ...] | None = None,
    jpeg_quality: int | None = None,
) -> None:
    """Write ``source`` again as a tiled, compressed GeoTIFF with its grid, CRS and nodata.

    Args:
        source: the original raster.
        target: the file to write.
        bands: values to write instead of the original's, (C, H, W).
        mask: an internal mask, (H, W) boolean, true where valid.
        block: edge of a tile in pixels; a raster smaller than a tile is written in strips.
        colors: color interpretation of the bands; the original's by default.
        jpeg_quality: compress as JPEG of this quality; lossless by default.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(source) as src:
        values = src.read() if bands is None else bands
        tiled = min(src.width, src.height) >= block
        profile = {
            'driver': 'GTiff',
            'width': src.width,
            'height': src.height,
            'count': src.count,
            'dtype': src.dtypes[0],
            'crs': src.crs,
            'transform': src.transform,
            'nodata': src.nodata,
            'compress': 'deflate',
            'zlevel': 9,
            'predictor': 3 if np.dtype(src.dtypes[0]).kind == 'f' else 2,
            'tiled': tiled,
            'photometric': 'rgb' if src.count in (3, 4) else 'minisblack',
        }
        if tiled:
            profile |= {'blockxsize': block, 'blockysize': block}
        if src.count == 4:
            profile['alpha'] = 'unspecified'
        if jpeg_quality is not None:
            del profile['predictor'], profile['zlevel']
            profile |= {'compress': 'jpeg', 'jpeg_quality': jpeg_quality}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(target, 'w', **profile) as dst,
        ):
            dst.colorinterp = colors or src.colorinterp
            dst.write(values)
            if mask is not None:
                dst.write_mask(mask)
            dst.descriptions = src.descriptions


def rounded(source: Path) -> np.ndarray:
    """Heights rounded to ``HEIGHT_STEP``, nodata untouched.

    A power of two leaves the low bits of the float empty, so the file deflates to half the size
    that rounding to whole centimeters gives, with an error of 0.8 cm at most.
    """
    with rasterio.open(source) as src:
        heights = src.read()
        return np.where(
            heights == src.nodata, heights, np.round(heights / HEIGHT_STEP) * HEIGHT_STEP
        )


def eurosat(source: Path, target: Path) -> None:
    """Draw the same images of each class for the same seed and write their names."""
    chosen = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        names = sorted(path.name for path in folder.glob('*.jpg'))
        draw = random.Random(f'{EUROSAT_SEED}:{folder.name}')
        for name in sorted(draw.sample(names, EUROSAT_PER_CLASS)):
            (target / folder.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / folder.name / name)
            chosen.append(f'{folder.name}/{name}')
    (target / 'chosen.txt').write_text('\n'.join(chosen) + '\n')


def buildings(source: Path, target: Path) -> None:
    """Write the chips of one zoom as JPEGs named ZOOM-X-Y after their web mercator tile."""
    target.mkdir(parents=True, exist_ok=True)
    for chip in sorted(source.glob(f'OAM-*-{BUILDINGS_ZOOM}.png')):
        _, x, y, zoom = chip.stem.split('-')
        encoded = cv2.imencode('.jpg', cv2.imread(str(chip)), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        (target / f'{zoom}-{x}-{y}.jpg').write_bytes(encoded.tobytes())
    shutil.copyfile(source / 'labels.geojson', target / 'labels.geojson')


def main() -> None:
    """Write every folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', type=Path, help='folder of the original files')
    parser.add_argument('target', type=Path, nargs='?', default=Path(__file__).parent)
    args = parser.parse_args()
    src, dst = args.source, args.target
    rgbn_colors = (
        ColorInterp.red,
        ColorInterp.green,
        ColorInterp.blue,
        ColorInterp.undefined,
    )

    write(src / 'autzen/north_rgb_0p5m.tif', dst / 'autzen/patch/autzen_dom.tif')
    dsm = src / 'autzen/north_dsm_0p5m.tif'
    write(dsm, dst / 'autzen/patch/autzen_dsm.tif', bands=rounded(dsm))

    rgbn = src / 'ign_lidarhd/rgbn_0p5m.tif'
    with rasterio.open(rgbn) as raster:
        covered = (raster.read() > 0).any(0)
    write(rgbn, dst / 'ign_lidarhd/rgbn.tif', mask=covered, colors=rgbn_colors)
    dsm = src / 'ign_lidarhd/dsm_0p5m.tif'
    write(dsm, dst / 'ign_lidarhd/dsm.tif', bands=rounded(dsm))

    for crop in sorted((src / 'urban_trees').glob('*.tif')):
        write(
            crop,
            dst / 'urban_trees' / crop.name,
            block=128,
            colors=rgbn_colors,
            jpeg_quality=None if crop.stem in URBAN_TREES else URBAN_TREES_QUALITY,
        )
    for name in TERRAMIND:
        for folder, kind in (('S2RGB', 'rgb'), ('S2L2A', 's2'), ('DEM', 'dem')):
            if (name, kind) == (WITHOUT_S2, 's2'):
                continue
            scene = src / f'terramind/{folder}/{name}.tif'
            write(scene, dst / f'terramind/{kind}_{name}.tif', block=112)
    for name in IDTREES:
        for folder, kind in (('RGB', 'rgb'), ('CHM', 'chm')):
            write(src / f'idtrees/{folder}/{name}.tif', dst / f'idtrees/{kind}_{name}.tif')
    eurosat(src / 'eurosat_rgb', dst / 'eurosat_rgb')
    buildings(src / 'buildings_kampala', dst / 'buildings_kampala')


if __name__ == '__main__':
    main()
