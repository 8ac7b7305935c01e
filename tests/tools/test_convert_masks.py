"""Masks in colors become one band, which the transforms of the tasks read."""

import cv2
import numpy as np
import pytest
import rasterio
from dataset_files import png, tool, write

from mssdf.datasets.transforms import LoadBinaryMask, LoadChange

PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)


def convert(*arguments) -> int:
    return tool('convert_masks')([*map(str, arguments), '--workers', '0'])


@pytest.fixture
def changed():
    return np.random.default_rng(0).random((20, 30)) < 0.3


def as_colors(mask: np.ndarray) -> np.ndarray:
    return np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)


def test_change_masks_of_three_bands(tmp_path, capsys, changed):
    png(tmp_path / 'train/label/1.png', as_colors(changed))
    write(tmp_path / 'train/label/2.tif', as_colors(~changed))
    seen = np.full((20, 30), 255, np.uint8)
    png(tmp_path / 'test/label/1.png', np.dstack([seen, as_colors(changed)]))  # alpha behind
    png(tmp_path / 'train/A/1.png', np.full((20, 30, 3), 7, np.uint8))
    with pytest.raises(ValueError, match=r'1.png: .* found 3 .*convert_masks.py converts them'):
        LoadChange()(dict(seg_map_path=str(tmp_path / 'train/label/1.png')))
    assert convert(tmp_path) == 0
    assert '3 masks written' in capsys.readouterr().out
    for name, expected in (('train/1', changed), ('train/2', ~changed), ('test/1', changed)):
        split, stem = name.split('/')
        path = tmp_path / f'{split}/label_index/{stem}.png'
        written = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint8
        np.testing.assert_array_equal(written, expected * 255)
        for load in (LoadChange(), LoadBinaryMask()):
            labels = load(dict(seg_map_path=str(path)))['gt_seg_map']
            np.testing.assert_array_equal(labels, expected)
    assert not (tmp_path / 'train/A_index').exists()
    assert convert(tmp_path) == 0
    assert '3 masks there' in capsys.readouterr().out


def test_colors_of_a_palette(tmp_path, capsys):
    indices = np.random.default_rng(0).integers(0, 3, (20, 30))
    write(tmp_path / 'ann/a.tif', PALETTE[indices])
    colors = ['--palette', '0,0,0', '255,0,0', '0,255,0']
    assert convert(tmp_path / 'ann', *colors) == 0
    written = cv2.imread(str(tmp_path / 'ann_index/a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, indices)
    assert convert(tmp_path / 'ann', *colors[:3]) == 2
    assert 'expected palette [[' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        convert(tmp_path / 'ann', '--palette', '0,0')


def test_a_table_of_colors_is_looked_up(tmp_path, changed):
    path = tmp_path / 'ann/a.tif'
    path.parent.mkdir()
    profile = dict(driver='GTiff', count=1, height=20, width=30, dtype='uint8')
    with rasterio.open(path, 'w', photometric='palette', **profile) as raster:
        raster.write(changed.astype(np.uint8) + 4, 1)
        raster.write_colormap(1, {4: (255, 255, 255, 255), 5: (0, 0, 0, 255)})
    assert convert(tmp_path / 'ann') == 0
    written = cv2.imread(str(tmp_path / 'ann_index/a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, np.where(changed, 0, 255))


def test_lossy_masks_need_a_tolerance(tmp_path, capsys, changed):
    mask = np.kron(changed, np.ones((5, 5))) > 0
    path = tmp_path / 'ann/a.jpg'
    path.parent.mkdir()
    cv2.imwrite(str(path), as_colors(mask), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert convert(path.parent) == 2
    assert 'a.jpg: expected the colors' in (said := capsys.readouterr().out)
    assert '--tolerance' in said and 'Traceback' not in said
    assert convert(path.parent, '--tolerance', 100) == 0
    written = cv2.imread(str(tmp_path / 'ann_index/a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, mask * 255)


@pytest.mark.parametrize(
    'file, image, said',
    [
        ('a.tif', np.zeros((4, 4, 2), np.uint8), 'a.tif: expected 1 or 3 bands of uint8, found 2'),
        ('a.tif', np.zeros((4, 4), np.float32), 'found 1 of float32'),
        ('a.tif', np.full((4, 4, 3), 9, np.uint8), 'a.tif: expected the colors [(0, 0, 0), (255'),
        ('a.txt', np.zeros((4, 4), np.uint8), 'expected masks (.png, .tif'),
    ],
)
def test_what_is_no_mask(tmp_path, capsys, file, image, said):
    write(tmp_path / 'ann' / file, image)
    assert convert(tmp_path / 'ann') == 2
    assert said in capsys.readouterr().out
    assert not list(tmp_path.glob('ann_index/*.png'))


def test_two_files_of_one_name(tmp_path, capsys, changed):
    write(tmp_path / 'ann/a.tif', as_colors(changed))
    png(tmp_path / 'ann/a.png', as_colors(changed))
    assert convert(tmp_path / 'ann') == 2
    assert 'expected one file of each name' in capsys.readouterr().out
