"""The tools that lay data sets out, on real imagery in the layouts that are published.

The images are those of tests/data; labels in the sets' colors are derived from them.
"""

import json

import cv2
import numpy as np
import pytest
import rasterio
from dataset_files import png, read, tool, write
from pycocotools.coco import COCO

from mssdf.datasets.tasks.classes import ISPRS_PALETTE, SECOND_PALETTE
from mssdf.preparation.examples import make_examples


@pytest.fixture
def potsdam(tmp_path, data_root):
    """Two tiles of 300 x 280 pixels of Autzen, with labels by brightness, as the ISPRS packs."""
    image = read(data_root / 'autzen/patch/autzen_dom.tif')
    heights = read(data_root / 'autzen/patch/autzen_dsm.tif')[..., 0]
    raw = tmp_path / 'raw'
    labels = {}
    for name, top in (('2_10', 0), ('7_13', 500)):
        part = image[top : top + 300, 600:880]
        index = 1 + part.mean(axis=2).astype(int) * 6 // 256
        index[:5] = 0
        labels[name] = index
        row, col = name.split('_')
        colors = np.array(ISPRS_PALETTE, np.uint8)[index]
        write(raw / f'rgb/top_potsdam_{name}_RGB.tif', part)
        write(raw / f'labels/top_potsdam_{name}_label.tif', colors)
        write(raw / f'eroded/top_potsdam_{name}_label_noBoundary.tif', colors)
        # one row short, as one of the published surface models is
        write(raw / f'dsm/dsm_potsdam_{int(row):02d}_{col}.tif', heights[top : top + 299, 600:880])
    options = [
        'potsdam',
        *('--images', str(raw / 'rgb'), '--labels', str(raw / 'labels')),
        *('--eroded-labels', str(raw / 'eroded'), '--dsm', str(raw / 'dsm')),
        *('--out', str(tmp_path / 'out'), '--size', '128', '--workers', '0'),
    ]
    return raw, tmp_path / 'out', options, labels


def test_isprs_clips_everything_on_one_grid(potsdam, capsys):
    raw, out, options, labels = potsdam
    assert tool('prepare_isprs')(options) == 0
    for split, name in (('train', '2_10'), ('val', '7_13')):
        image = read(raw / f'rgb/top_potsdam_{name}_RGB.tif')
        heights = read(next((raw / 'dsm').glob(f'*{int(name[0]):02d}_{name[2:]}.tif')))[..., 0]
        seen = np.zeros(image.shape[:2], bool)
        for path in sorted((out / f'img_dir/{split}').glob('*.png')):
            assert path.name.startswith(name)
            left, top, right, bottom = map(int, path.stem.split('_')[-4:])
            place = slice(top, bottom), slice(left, right)
            assert (bottom - top, right - left) == (128, 128)
            assert (cv2.imread(str(path))[..., ::-1] == image[place]).all()
            for folder in (split, f'{split}_eroded'):
                clip = cv2.imread(str(out / f'ann_dir/{folder}/{path.name}'), -1)
                assert (clip == labels[name][place]).all()
            meters = read(out / f'dsm_dir/{split}/{path.stem}.tif')[..., 0]
            known = np.arange(top, bottom)[:, None].repeat(128, 1) < 299
            assert (meters[known] == np.pad(heights, ((0, 1), (0, 0)))[place][known]).all()
            assert (meters[~known] == -9999).all()
            seen[place] = True
        assert seen.all()
    assert 'train: 1 tiles, 9 clips' in capsys.readouterr().out
    removed = next((out / 'img_dir/val').glob('*.png'))
    removed.unlink()
    before = {path: path.stat().st_mtime_ns for path in (out / 'img_dir/train').iterdir()}
    assert tool('prepare_isprs')(options) == 0
    assert '1 tiles there, 1 tiles written' in capsys.readouterr().out and removed.exists()
    assert before == {path: path.stat().st_mtime_ns for path in (out / 'img_dir/train').iterdir()}


def test_isprs_says_what_does_not_fit(potsdam, tmp_path, capsys):
    raw, _, options, labels = potsdam
    path = raw / 'labels/top_potsdam_2_10_label.tif'
    colors = np.array(ISPRS_PALETTE, np.uint8)[labels['2_10']]
    colors[7, 9] = (252, 255, 0)
    write(path, colors)
    assert tool('prepare_isprs')(options) == 2
    said = capsys.readouterr().out
    assert str(path) in said and 'found (252, 255, 0) at row 7, column 9 (1 such pixels' in said
    assert tool('prepare_isprs')([*options, '--tolerance', '3']) == 0
    write(path, colors[:100])
    next((tmp_path / 'out/img_dir/train').iterdir()).unlink()
    assert tool('prepare_isprs')(options) == 2
    assert 'expected 300 x 280 pixels' in capsys.readouterr().out
    path.unlink()
    assert tool('prepare_isprs')(options) == 2
    assert 'expected labels of tile 2_10, found none' in capsys.readouterr().out
    write(raw / 'rgb/top_potsdam_9_99_RGB.tif', colors)
    assert tool('prepare_isprs')(options) == 2
    assert 'expected labels of tile' in capsys.readouterr().out


def test_second_colors(tmp_path, capsys):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 7, (20, 30))
    for split in ('train', 'test'):
        for date in (1, 2):
            png(tmp_path / f'{split}/im{date}/a.png', np.zeros((20, 30, 3), np.uint8))
            png(
                tmp_path / f'{split}/label{date}/a.png',
                np.array(SECOND_PALETTE, np.uint8)[indices],
            )
    assert tool('convert_second')([str(tmp_path), '--workers', '1']) == 0
    for split in ('train', 'test'):
        for date in (1, 2):
            written = cv2.imread(str(tmp_path / f'{split}/label{date}_index/a.png'), -1)
            assert (written == indices).all()
    assert '4 label maps written' in capsys.readouterr().out
    assert tool('convert_second')([str(tmp_path), '--workers', '0']) == 0
    assert '4 label maps there' in capsys.readouterr().out
    (tmp_path / 'train/label2/a.png').unlink()
    assert tool('convert_second')([str(tmp_path)]) == 2
    assert 'label2/a.png: expected a file to go with' in capsys.readouterr().out


def test_dior_and_vhr10_to_coco(tmp_path, data_root, capsys):
    root, other = make_examples(data_root, tmp_path, ['dior', 'nwpu-vhr10'])
    expected = {}
    for path in sorted((root / 'annotations').glob('*.json')):
        expected[path.name] = json.loads(path.read_text())
        path.unlink()
    assert tool('convert_to_coco')(['dior', str(root)]) == 0
    for name, content in expected.items():
        written = json.loads((root / 'annotations' / name).read_text())
        assert written['categories'] == content['categories']
        assert [image['file_name'] for image in written['images']] == [
            image['file_name'] for image in content['images']
        ]
        for found, known in zip(written['annotations'], content['annotations'], strict=True):
            assert found['category_id'] == known['category_id']
            left, top, width, height = known['bbox']
            right, bottom = min(left + width, 256), min(top + height, 256)
            left, top = max(left, 0), max(top, 0)  # what lies outside of the image is cut off
            assert found['bbox'] == [left, top, right - left, bottom - top]
    coco = COCO(root / 'annotations/test.json')
    assert len(coco.getImgIds()) > 3 and len(coco.getAnnIds()) > 10

    assert tool('convert_to_coco')(['vhr10', str(other)]) == 0
    splits = {name: (other / f'splits/{name}.txt').read_text().split() for name in expected_splits}
    files = {path.stem for path in (other / 'positive image set').iterdir()}
    assert set().union(*splits.values()) == files
    assert sum(map(len, splits.values())) == len(files)
    assert tool('convert_to_coco')(['vhr10', str(other), '--seed', '5']) == 2
    assert 'another seed' in capsys.readouterr().out
    (other / 'ground truth/001.txt').write_text('(1,2),(30,40),11\n')
    assert tool('convert_to_coco')(['vhr10', str(other)]) == 2
    said = capsys.readouterr().out
    assert '001.txt: line 1: expected a class from 1 to 10, found 11' in said


expected_splits = ('train', 'val', 'test')


def test_us3d_keeps_places_apart(tmp_path, data_root):
    image = read(data_root / 'autzen/patch/autzen_dom.tif')
    heights = read(data_root / 'autzen/patch/autzen_dsm.tif')[..., 0].copy()
    raw = tmp_path / 'raw'
    for place in range(6):
        for view in range(2):
            top, left = 100 * place, 200 * view + 300
            part = heights[top : top + 100, left : left + 100].copy()
            part[:3] = np.nan
            stem = f'{"JAX" if place < 3 else "OMA"}_{place:03d}_{view:03d}'
            write(raw / f'rgb/{stem}_RGB.tif', image[top : top + 100, left : left + 100])
            write(raw / f'truth/{stem}_AGL.tif', part)
    out = tmp_path / 'out'
    options = [str(raw), '--out', str(out), '--size', '64', '--val', '0.34', '--workers', '0']
    assert tool('prepare_us3d')(options) == 0
    sides = {}
    for split in ('train', 'val'):
        listed = (out / f'splits/{split}.txt').read_text().split()
        found = {'_'.join(p.stem.split('_')[:2]) for p in (out / f'img_dir/{split}').iterdir()}
        assert found == set(listed)
        sides[split] = found
    assert not sides['train'] & sides['val'] and len(sides['val']) == 2
    assert {place[:3] for place in sides['val']} == {'JAX', 'OMA'}  # stratified by city
    path = next((out / 'height_dir/train').glob('JAX*_0_0_64_64.tif'))
    with rasterio.open(path) as raster:
        assert (raster.read(1)[:3] == raster.nodata).all() and (raster.read_masks(1)[3:] > 0).all()


def test_scenes_are_split_once_stratified_and_nested(tmp_path, data_root, capsys):
    root = tmp_path / 'scenes'
    for path in (data_root / 'eurosat_rgb').glob('*/*.jpg'):
        target = root / '2750' / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    options = [str(root), '--dataset', 'eurosat', '--shares', '0.2', '0.5']
    assert tool('split_classification')(options) == 0
    lists = {
        name: [
            line.rsplit(' ', 1)
            for line in (root / f'splits/{name}.txt').read_text().split('\n')[:-1]
        ]
        for name in ('train', 'train_20', 'train_50', 'test')
    }
    names = {name: {path for path, _ in lines} for name, lines in lists.items()}
    assert names['train_20'] < names['train_50'] < names['train']
    assert not names['train'] & names['test'] and len(names['train'] | names['test']) == 600
    for name, count in dict(train=48, train_20=10, train_50=24, test=12).items():
        labels = [int(label) for _, label in lists[name]]
        assert np.bincount(labels).tolist() == [count] * 10, name
    classes = json.loads((root / 'splits/train.json').read_text())['classes']
    assert all(path.split('/')[1] == classes[int(label)] for path, label in lists['train'])
    before = (root / 'splits/train.txt').read_text()
    assert tool('split_classification')(options) == 0
    assert tool('split_classification')([*options, '--seed', '1']) == 2
    assert (root / 'splits/train.txt').read_text() == before
    assert tool('split_classification')([str(root), '--dataset', 'ucm']) == 2
    assert "found also ['AnnualCrop'" in capsys.readouterr().out


def test_fraction_reaches_rare_classes(tmp_path, capsys):
    rng = np.random.default_rng(0)
    folder = tmp_path / 'ann_dir/train'
    for index in range(40):
        labels = rng.integers(1, 4, (32, 32)).astype(np.uint8)
        if index in (3, 17):  # the only two with class 5
            labels[:8] = 5
        labels[0, 0] = 255
        png(folder / f'{index:02d}.png', labels)
    assert tool('draw_fraction')([str(tmp_path), '--workers', '0']) == 0
    names = (tmp_path / 'splits/train_50.txt').read_text().split()
    record = json.loads((tmp_path / 'splits/train_50.json').read_text())
    assert len(names) == 20 and ('03' in names) != ('17' in names)
    assert record['share_of_pixels']['5'] == 0.5 and '255' not in record['share_of_pixels']
    assert all(0.45 < share < 0.55 for share in record['share_of_pixels'].values())
    assert tool('draw_fraction')([str(tmp_path), '--share', '0.25', '--workers', '0']) == 0
    fewer = (tmp_path / 'splits/train_25.txt').read_text().split()
    assert len(fewer) == 10 and set(fewer) < set(names)
    (tmp_path / 'splits/train_50.txt').write_text('00\n')
    assert tool('draw_fraction')([str(tmp_path), '--workers', '0']) == 2
    assert 'another seed' in capsys.readouterr().out


def test_change_tiles(tmp_path, data_root):
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[:300, :520]
    changes = (image[..., 0] > 200).astype(np.uint8)
    for name, raster in (('a', image), ('b', image[::-1].copy()), ('c', changes)):
        write(tmp_path / f'{name}.tif', raster)
    files = [str(tmp_path / f'{name}.tif') for name in 'abc']
    out = tmp_path / 'out'
    assert tool('tile_change')([*files, '--out', str(out), '--size', '100', '--val', '0.2']) == 0
    for split, count in dict(train=12, val=3).items():
        tiles = sorted((out / split / 'A').iterdir())
        assert len(tiles) == count
        for path in tiles:
            left, top, right, bottom = map(int, path.stem.split('_')[1:])
            assert (left >= 400) == (split == 'val')
            place = slice(top, bottom), slice(left, right)
            assert (cv2.imread(str(path))[..., ::-1] == image[place]).all()
            label = cv2.imread(str(out / split / 'label' / path.name), -1)
            assert (label == changes[place] * 255).all()


@pytest.mark.parametrize('alike', [True, False])
def test_change_tiles_of_black_and_white_as_colors(tmp_path, capsys, alike):
    changes = np.zeros((64, 64, 3), np.uint8)
    changes[10:30, 20:40] = 255 if alike else (255, 255, 0)
    image = np.full((64, 64, 3), 7, np.uint8)
    for name, raster in (('a', image), ('b', image), ('c', changes)):
        write(tmp_path / f'{name}.tif', raster)
    files = [str(tmp_path / f'{name}.tif') for name in 'abc']
    status = tool('tile_change')([*files, '--out', str(tmp_path / 'out'), '--size', '64'])
    if alike:
        label = cv2.imread(str(tmp_path / 'out/train/label/a_0_0_64_64.png'), -1)
        assert status == 0 and (label == changes[..., 0]).all() and label.shape == (64, 64)
    else:
        assert status == 2 and 'expected 1 band (or 3 alike)' in capsys.readouterr().out


def test_dota_by_mmrotates_splitter(tmp_path, data_root, capsys):
    pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
    pytest.importorskip('mmrotate')
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[:300, :500]
    for part in ('train', 'test'):
        png(tmp_path / f'raw/{part}/images/P0001.png', image)
    (tmp_path / 'raw/train/labelTxt').mkdir()
    box = '210 20 260 20 260 60 210 60 plane 0'
    (tmp_path / 'raw/train/labelTxt/P0001.txt').write_text(f'imagesource:x\ngsd:0.5\n{box}\n')
    out = tmp_path / 'out'
    options = [str(tmp_path / 'raw'), '--out', str(out), '--size', '256', '--overlap', '56']
    assert tool('split_dota')(options) == 0
    assert 'train: 1 images, 6 tiles' in capsys.readouterr().out
    lines = (out / 'train/annfiles/P0001__256__200___0.txt').read_text().split()
    corners = np.array(lines[:8], float).reshape(4, 2) + (200, 0)
    assert corners.tolist() == [[210, 20], [260, 20], [260, 60], [210, 60]] and lines[8] == 'plane'
    tile = cv2.imread(str(out / 'train/images/P0001__256__200___0.png'))[..., ::-1]
    assert (tile == image[:256, 200:456]).all()
    assert tool('split_dota')(options) == 0
    assert 'train: done before' in capsys.readouterr().out
