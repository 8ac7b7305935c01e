"""Pipelines deliver what the file of an image holds, or one line names LoadRasters."""

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from own_masks import lay_out, mask, stopped, train, write

from mssdf.datasets.checks.delivered import compare_bands

pytest.importorskip('mmseg')
TIF = 'train_dataloader.dataset.img_suffix=.tif'


def noise(bands: int, dtype: type = np.uint8, high: int = 255, seed: int = 0) -> np.ndarray:
    """(bands, 32, 32)."""
    rng = np.random.default_rng(seed)
    return (high * rng.random((bands, 32, 32))).astype(dtype)


def lay_out_tif(own, *images: np.ndarray) -> None:
    lay_out(own, np.stack([mask(0, 1)] * len(images)))
    for number, image in enumerate(images):
        write(own / f'img/{number:03d}.tif', image)


@pytest.mark.parametrize(
    'image, said',
    [
        (noise(4), '4 bands of uint8'),  # the fourth is tagged as alpha, as GDAL does unasked
        (noise(2), 'deliver 2 bands of uint8'),
        (noise(3, np.float32), 'found 3 bands of float32'),
        (noise(1, np.float32), 'found 1 band of float32'),
        (noise(3, np.uint16, 60000), '3 bands of uint16'),
        (noise(1, np.int16, 9000), 'deliver 1 band of int16'),
        (noise(6), 'found 6 bands of uint8'),
    ],
)
def test_a_loss_is_one_line(own, capsys, image, said):
    lay_out_tif(own, image, image, image)
    line = stopped(capsys, TIF)
    assert 'train_dataloader: own/img/000.tif: ' in line and said in line
    assert 'LoadImageFromFile' in line and 'mssdf.LoadRasters reads any bands and types' in line


def test_one_image_of_another_kind_among_many(own, capsys):
    images = [noise(3)] * 30
    images[11] = noise(4)  # not one of the four samples
    lay_out_tif(own, *images)
    assert 'own/img/011.tif: ' in stopped(capsys, TIF)


def test_load_rasters_delivers_all(own, capsys):
    lay_out_tif(own, *[noise(4, np.uint16, 60000)] * 3)
    config = own.with_name('own.py')
    steps = (
        "dict(type='mssdf.LoadRasters'), "
        "dict(type='mssdf.NormalizeBands', mean=[3e4] * 4, std=[9e3] * 4)"
    )
    text = config.read_text().replace('mean=[120] * 3, std=[60] * 3, bgr_to_rgb=True, ', '')
    text = text.replace("dict(type='LoadImageFromFile')", steps)
    config.write_text(text)
    status, said = train(capsys, TIF, 'model.backbone.in_channels=4')
    assert status == 0 and 'samples checked' in said


def loaded(path, **options) -> np.ndarray:
    return LoadImageFromFile(**options)(dict(img_path=str(path)))['img']


def seen(path) -> np.ndarray:
    """255 but for a corner."""
    alpha = np.full((1, 32, 32), 255, np.uint8)
    alpha[0, :5, :5] = 0
    return alpha


def test_what_loses_nothing(tmp_path, data_root):
    """Alpha that masks, gray as colors, palettes, lossy files: as OpenCV reads them."""
    files = {
        'alpha.png': np.concatenate([noise(3), seen(tmp_path)]),
        'alpha.tif': np.concatenate([noise(3), seen(tmp_path)]),
        'gray.png': noise(1),
        'gray.tif': noise(1),
        'colors.tif': noise(3),
    }
    for name, image in files.items():
        write(tmp_path / name, image)
    jpegs = sorted((data_root / 'eurosat_rgb').glob('*/*.jpg'))[::60]
    jpegs += sorted((data_root / 'buildings_kampala').glob('*.jpg'))[:3]
    assert len(jpegs) == 13
    for path in [*map(tmp_path.joinpath, files), *jpegs]:
        compare_bands(str(path), loaded(path), 'LoadImageFromFile')
    wide = tmp_path / 'wide.png'
    write(wide, noise(3, np.uint16, 60000))
    compare_bands(str(wide), loaded(wide, color_type='unchanged'), 'LoadImageFromFile')


def test_floats_of_8_bits_are_a_loss_too(tmp_path):
    path = tmp_path / 'wide.png'
    write(path, noise(3, np.uint16, 60000))
    with pytest.raises(ValueError, match=r'wide.png: .* 3 bands of uint16 .* 3 bands of float32'):
        compare_bands(str(path), loaded(path, to_float32=True), 'LoadImageFromFile')


def test_the_places_of_the_bands_do_not_matter(tmp_path):
    path = tmp_path / 'five.tif'
    image = noise(5, np.float32)
    image[1, 3, 3] = np.nan
    write(path, image)
    turned = image[[4, 0, 2, 1, 3]].transpose(1, 2, 0)
    compare_bands(str(path), turned, 'mine')
    with pytest.raises(ValueError, match=r'band 1, 4 would be lost'):
        compare_bands(str(path), turned[..., [0, 2, 3]], 'mine')
    with pytest.raises(ValueError, match='expected 32 x 32 pixels from mine, found .* 5 x 32 x 32'):
        compare_bands(str(path), image, 'mine')
