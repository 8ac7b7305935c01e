"""Small rasters and VRTs for the tests of files that rasters lead to."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pairs_data import write

from mssdf.datasets import MultiModalRasterDataset

# A corner of the grid of tiles of 640 pixels, so that one tile is made.
PLACE = Affine(0.5, 0, 500160, 0, -0.5, 4900160)
SIDE = 640
UTM = 'EPSG:32610'
MODALITIES = dict(rgb=dict(suffix='_dom.tif', bands=[1, 2, 3]), dsm=dict(suffix='_dsm.tif'))


def dataset_of(root, **options):
    """Open windows of 160 pixels over a folder of pairs; options of the dataset as keywords."""
    settings = dict(modalities=MODALITIES, windows=dict(size=160), pipeline=[], data_root=root)
    return MultiModalRasterDataset(**{**settings, **options})


def texture(bands=3, side=SIDE, seed=0):
    """Make random 8-bit values (C, H, W) above 0."""
    return np.random.default_rng(seed).integers(1, 255, (bands, side, side)).astype(np.uint8)


def write_tif(path, values, transform=PLACE, **options):
    """Write (C, H, W) values; return the path."""
    return write(Path(path), values, transform, UTM, **options)


def write_vrt(path, source, relative=False, side=SIDE, nodata=None, kind='Float32', more=''):
    """Write a VRT of one band of a source; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rect = f'xOff="0" yOff="0" xSize="{SIDE}" ySize="{SIDE}"'
    empty = '' if nodata is None else f'<NoDataValue>{nodata}</NoDataValue>'
    path.write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>{UTM}</SRS>'
        '<GeoTransform>500160, 0.5, 0, 4900160, 0, -0.5</GeoTransform>'
        f'<VRTRasterBand dataType="{kind}" band="1">{empty}<SimpleSource>'
        f'<SourceFilename relativeToVRT="{int(relative)}">{source}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect {rect}/><DstRect {rect}/></SimpleSource>{more}'
        '</VRTRasterBand></VRTDataset>'
    )
    return path


def write_mask(path, valid):
    """Write a ``.msk`` file beside a raster, as GDAL reads it."""
    with rasterio.open(
        f'{path}.msk',
        'w',
        driver='GTiff',
        count=1,
        height=valid.shape[0],
        width=valid.shape[1],
        dtype='uint8',
    ) as raster:
        raster.write(valid.astype(np.uint8) * 255, 1)
        raster.update_tags(INTERNAL_MASK_FLAGS_1='2')


def heights(value, dtype=np.float32):
    """Make constant heights (1, H, W)."""
    return np.full((1, SIDE, SIDE), value, dtype)


def build(tool, out, *arguments):
    """Run build_pairs.py on one tile of 640 pixels; return its exit status."""
    options = '--workers 0 --val-share 0 --window 160 --tile 640 --split-gap 40'.split()
    return tool.main([str(out), *map(str, arguments), *options])


def built_heights(out):
    """Read heights (H, W) and validity of the only tile that build_pairs.py wrote to a folder."""
    (path,) = Path(out, 'train/patch').glob('*_dsm.tif')
    with rasterio.open(path) as raster:
        return raster.read(1), raster.read_masks(1) > 0
