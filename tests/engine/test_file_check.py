"""All files of a dataset are looked at before training, not some samples alone."""

import re

import numpy as np
import pytest
import rasterio
from own_masks import lay_out, mask, stopped, train, write

from mssdf.datasets.checks.file_check import check_files
from mssdf.rasters.image_header import read_image_header

pytest.importorskip('mmseg')
COUNT, ODD = 30, 11  # the odd one is none of the four samples that are read


@pytest.fixture
def many(own):
    lay_out(own, np.stack([mask(0, 1)] * COUNT))
    return own


def test_a_missing_label_map(many, capsys):
    (many / f'ann/0{ODD}.png').unlink()
    line = stopped(capsys)
    assert f'own/ann/0{ODD}.png: expected a file to go with own/img/0{ODD}.png, found none' in line


def test_a_label_map_of_another_size(many, capsys):
    write(many / f'ann/0{ODD}.png', np.zeros((16, 32), np.uint8))
    line = stopped(capsys)
    assert f'own/ann/0{ODD}.png: expected 32 x 32 pixels as in own/img/0{ODD}.png' in line
    assert 'found 16 x 32' in line


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_colors_instead_of_indices(own, capsys, suffix):
    lay_out(own, np.stack([mask(0, 1)] * COUNT))
    for number in range(COUNT):
        write(own / f'ann/{number:03d}{suffix}', np.zeros((3, 32, 32), np.uint8))
    line = stopped(capsys, f'train_dataloader.dataset.seg_map_suffix={suffix}')
    assert f'own/ann/000{suffix}: expected a label map of 1 band (indices), found 3' in line
    assert 'tools/dataset_tools/convert_masks.py' in line


def test_palettes_are_indices(many, capsys):
    profile = dict(driver='PNG', count=1, height=32, width=32, dtype='uint8')
    for number in range(COUNT):
        path = many / f'ann/{number:03d}.png'
        with rasterio.open(path, 'w', **profile) as raster:
            raster.write(mask(0, 1).astype(np.uint8), 1)
            raster.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    for loader in ('LoadAnnotations', 'mssdf.LoadBinaryMask'):
        option = f'train_dataloader.dataset.pipeline.1.type={loader}'
        extra = ['train_dataloader.dataset.pipeline.1.foreground=1'] * ('mssdf' in loader)
        status, said = train(capsys, option, *extra)
        assert status == 0 and 'labels seen: gt_sem_seg [0, 1]' in said


def test_labels_of_more_than_8_bits(own, capsys):
    lay_out(own, np.stack([mask(0, 1)] * COUNT))
    for number in range(COUNT):
        values = mask(0, 1).astype(np.uint16)
        values[0, 0] = 256 if number == ODD else 0
        write(own / f'ann/{number:03d}.tif', values)
    line = stopped(capsys, 'train_dataloader.dataset.seg_map_suffix=.tif')
    assert f'own/ann/0{ODD}.tif: expected labels from 0 to 255, found [256]' in line


def test_a_label_that_no_sample_had_stops_in_the_first_epoch(many, capsys):
    wrong = mask(0, 1)
    wrong[5, 6] = 9
    write(many / f'ann/0{ODD}.png', wrong.astype(np.uint8))
    line = stopped(capsys)
    assert f'own/img/0{ODD}.png + own/ann/0{ODD}.png: gt_sem_seg: expected labels 0 to 1' in line
    assert line.endswith('found [9]')


def test_a_truncated_header(many, capsys):
    path = many / f'img/0{ODD}.png'
    path.write_bytes(path.read_bytes()[:20])
    assert f'own/img/0{ODD}.png: expected an image, found' in stopped(capsys)


def dates(root, first: int, second: int):
    """LEVIR-CD's layout with so many images of each date, labels for the first ones."""
    from mmengine.registry import DATASETS, DefaultScope

    rng = np.random.default_rng(0)
    for folder, count in (('A', first), ('B', second)):
        for number in range(count):
            write(root / f'{folder}/{number}.png', rng.integers(0, 255, (3, 32, 32), np.uint8))
    for number in range(first):
        write(root / f'label/{number}.png', mask(0, 255).astype(np.uint8))
    sources = [dict(bands=[1, 2, 3]), dict(key='img_path2', bands=[1, 2, 3])]
    config = dict(
        type='LEVIRCDDataset',
        data_root=str(root),
        data_prefix=dict(img_path='A', img_path2='B', seg_map_path='label'),
        pipeline=[dict(type='mssdf.LoadRasters', sources=sources), dict(type='mssdf.LoadChange')],
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(config)


def test_two_dates_of_which_some_are_missing(tmp_path):
    check_files(dates(tmp_path / 'whole', 12, 12), 4)
    with pytest.raises(
        FileNotFoundError, match=r'B/11.png: expected a file to go with .*A/11.png, found none$'
    ):
        check_files(dates(tmp_path / 'second', 12, 11), 4)
    # mmseg lists the first date: what it lacks was left out without a word
    lacking = r'A/10.png: expected a file to go with .*B/10.png \(2 such\), found none'
    with pytest.raises(FileNotFoundError, match=lacking):
        check_files(dates(tmp_path / 'first', 10, 12), 4)


def test_two_dates_of_other_sizes_and_bands(tmp_path):
    dataset = dates(tmp_path, 6, 6)
    write(tmp_path / 'B/3.png', np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(ValueError, match='B/3.png: expected 32 x 32 .* found 16 x 16'):
        check_files(dataset, 4)
    write(tmp_path / 'B/3.png', np.zeros((1, 32, 32), np.uint8))
    wrong = re.escape('B/3.png: expected the bands [1, 2, 3] (sources of LoadRasters), found 1')
    with pytest.raises(ValueError, match=wrong):
        check_files(dataset, 4)


def test_images_read_whole_have_one_number_of_bands(own, capsys):
    lay_out(own, np.stack([mask(0, 1)] * 6))
    for number in range(6):
        bands = 5 if number == 4 else 4
        write(own / f'img/{number:03d}.tif', np.zeros((bands, 32, 32), np.uint16))
    line = stopped(
        capsys,
        'train_dataloader.dataset.img_suffix=.tif',
        'train_dataloader.dataset.pipeline.0.type=mssdf.LoadRasters',
    )
    assert 'own/img/004.tif: expected 4 bands as in own/img/000.tif, found 5' in line


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('bands, dtype', [(1, 'uint8'), (3, 'uint8'), (1, 'uint16'), (3, 'uint16')])
def test_headers(tmp_path, suffix, bands, dtype):
    path = tmp_path / f'image{suffix}'
    write(path, np.zeros((bands, 5, 7), dtype))
    header = read_image_header(str(path))
    assert (header.height, header.width, header.bands, header.dtype) == (5, 7, bands, dtype)
    assert not header.alpha and not header.palette


def test_headers_of_jpegs(data_root):
    header = read_image_header(str(sorted((data_root / 'eurosat_rgb').glob('*/*.jpg'))[0]))
    assert (header.height, header.width, header.bands, header.dtype) == (64, 64, 3, 'uint8')
