"""The tools that lay data sets out against mmseg's converters, and inputs that do not fit.

Imagery of tests/data; labels in the sets' colors are derived from it.
"""

import ast
import importlib.util
import json
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from dataset_files import png, read, tool, write

from mssdf.datasets.tasks.classes import DIOR, ISPRS_PALETTE
from mssdf.preparation.benchmarks.isprs import TRAIN, VAL
from mssdf.preparation.benchmarks.tiling import tile_places
from mssdf.preparation.examples import make_examples


def mmseg_converter(name: str) -> Path:
    mmseg = pytest.importorskip('mmseg')
    return Path(mmseg.__path__[0]) / f'.mim/tools/dataset_converters/{name}.py'


@pytest.mark.parametrize('dataset', ['potsdam', 'vaihingen'])
def test_tiles_of_the_splits_are_mmsegs(dataset):
    tree = ast.parse(mmseg_converter(dataset).read_text())
    splits = next(
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'splits'
    )
    theirs = {key: {name.removeprefix('area') for name in names} for key, names in splits.items()}
    assert theirs == dict(train=set(TRAIN[dataset]), val=set(VAL[dataset]))


def test_clips_are_those_of_mmsegs_converter(tmp_path, data_root):
    spec = importlib.util.spec_from_file_location('theirs', mmseg_converter('potsdam'))
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[500:700, 600:850]
    index = 1 + image.mean(axis=2).astype(int) * 6 // 256
    index[20:30] = 0
    write(tmp_path / 'rgb/top_potsdam_2_10_RGB.tif', image)
    write(tmp_path / 'labels/top_potsdam_2_10_label.tif', np.array(ISPRS_PALETTE, np.uint8)[index])
    out = tmp_path / 'out'
    folders = ('--images', str(tmp_path / 'rgb'), '--labels', str(tmp_path / 'labels'))
    size = ('--size', '96', '--workers', '0', '--out', str(out))
    assert tool('prepare_isprs')(['potsdam', *folders, *size]) == 0
    args = SimpleNamespace(clip_size=96, stride_size=96)
    for kind, name in (
        ('img_dir', 'rgb/top_potsdam_2_10_RGB'),
        ('ann_dir', 'labels/top_potsdam_2_10_label'),
    ):
        folder = tmp_path / 'theirs' / kind
        theirs.clip_big_image(str(tmp_path / f'{name}.tif'), str(folder), args, kind == 'ann_dir')
        ours = {path.name: path for path in (out / kind / 'train').iterdir()}
        assert set(ours) == {path.name for path in folder.iterdir()} and len(ours) == 9
        for path in folder.iterdir():
            assert (cv2.imread(str(ours[path.name]), -1) == cv2.imread(str(path), -1)).all()


def test_tiles_cover_everything_and_stay_inside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width, size = (int(n) for n in rng.integers(1, 60, 3))
        stride = int(rng.integers(1, size + 1))
        seen = np.zeros((height, width), int)
        places = list(tile_places(height, width, size, stride))
        for left, top, right, bottom in places:
            assert 0 <= left < right <= width and 0 <= top < bottom <= height
            assert right - left == min(size, width) and bottom - top == min(size, height)
            seen[top:bottom, left:right] += 1
        assert seen.min() > 0 and len(set(places)) == len(places)
    for stride in (0, 33):
        with pytest.raises(ValueError, match='stride: expected 1 to the size'):
            list(tile_places(64, 64, 32, stride))


@pytest.fixture
def dior(tmp_path, data_root):
    return make_examples(data_root, tmp_path, ['dior'])[0]


def change(path: Path, pattern: str, new: str) -> str:
    """Replace what matches first; return what was there."""
    text = path.read_text()
    changed, count = re.subn(pattern, new, text, count=1)
    assert count == 1
    path.write_text(changed)
    return text


@pytest.mark.parametrize(
    ('pattern', 'new', 'said'),
    [
        (r'<xmin>[^<]*</xmin>', '<xmin/>', 'bndbox/xmin: expected a number, found'),
        (r'<xmax>[^<]*<', '<xmax>fifty<', "bndbox/xmax: expected a number, found 'fifty'"),
        (r'<ymax>[^<]*<', '<ymax>inf<', "bndbox/ymax: expected a number, found 'inf'"),
        (r'<name>[^<]*<', '<name>tank<', "found 'tank'"),
        (r'<width>256<', '<width>255<', 'expected width and height (256, 256) as of'),
        (r'(?s)<bndbox>.*?</bndbox>', '', 'expected a bndbox of each object'),
        ('</annotation>', '', 'expected XML, found'),
    ],
)
def test_xml_that_does_not_fit(dior, capsys, pattern, new, said):
    name = (dior / 'ImageSets/Main/val.txt').read_text().split()[0]
    xml = dior / f'Annotations/Horizontal Bounding Boxes/{name}.xml'
    before = {path: path.read_bytes() for path in (dior / 'annotations').iterdir()}
    change(xml, pattern, new)
    assert tool('convert_to_coco')(['dior', str(dior)]) == 2
    line = capsys.readouterr().out.strip()
    assert line.startswith(f'convert_to_coco.py: {xml}: ') and said in line and '\n' not in line
    assert before == {path: path.read_bytes() for path in (dior / 'annotations').iterdir()}


def test_an_image_in_two_splits_is_an_error(dior, capsys):
    lists = dior / 'ImageSets/Main'
    name = (lists / 'val.txt').read_text().split()[0]
    (lists / 'train.txt').write_text((lists / 'train.txt').read_text() + f'{name}\n')
    for checked in (['convert_to_coco', 'dior'], ['check_dior_r']):
        assert tool(checked[0])([*checked[1:], str(dior)]) == 2
        said = capsys.readouterr().out
        assert f'val.txt: expected each image once, found {name} in train.txt too' in said


def test_boxes_without_area_in_the_image_are_left_out_and_listed(dior, capsys):
    name = (dior / 'ImageSets/Main/val.txt').read_text().split()[0]
    xml = dior / f'Annotations/Horizontal Bounding Boxes/{name}.xml'
    objects = xml.read_text().count('<object>')
    change(xml, r'<xmin>[^<]*<', '<xmin>256<')
    assert tool('convert_to_coco')(['dior', str(dior)]) == 0
    assert f'left out: {name}.jpg: no area in the image: (256.0' in capsys.readouterr().out
    content = json.loads((dior / 'annotations/val.json').read_text())
    number = next(i['id'] for i in content['images'] if i['file_name'] == f'{name}.jpg')
    assert sum(a['image_id'] == number for a in content['annotations']) == objects - 1


def test_dior_r_is_counted_and_checked(dior, capsys):
    assert tool('check_dior_r')([str(dior)]) == 0
    said = capsys.readouterr().out
    rows = {line[:26].strip(): line[26:].split() for line in said.splitlines()}
    assert set(DIOR) < set(rows) and 'odd' not in said
    for column, split in enumerate(('train', 'val', 'test')):
        names = (dior / f'ImageSets/Main/{split}.txt').read_text().split()
        text = ''.join(
            (dior / f'Annotations/Oriented Bounding Boxes/{name}.xml').read_text() for name in names
        )
        assert int(rows['images'][column]) == len(names)
        for label in DIOR:
            assert int(rows[label][column]) == text.count(f'<name>{label}</name>')
    xml = dior / f'Annotations/Oriented Bounding Boxes/{names[0]}.xml'
    before = change(xml, r'<x_left_top>[^<]*<', '<x_left_top><')
    assert tool('check_dior_r')([str(dior)]) == 2
    assert f'{xml}: robndbox/x_left_top: expected a number' in capsys.readouterr().out
    same = ''.join(
        f'<{axis}_{corner}>9</{axis}_{corner}>'
        for corner in ('left_top', 'right_top', 'right_bottom', 'left_bottom')
        for axis in 'xy'
    )
    xml.write_text(before)
    change(xml, r'(?s)<robndbox>.*?</robndbox>', f'<robndbox>{same}</robndbox>')
    assert tool('check_dior_r')([str(dior)]) == 0
    assert f'odd: {xml.name}: ' in capsys.readouterr().out


@pytest.fixture
def dota(tmp_path, data_root):
    """A part of two images with a box each, as DOTA is published."""
    pytest.importorskip('mmrotate', exc_type=ImportError)
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[:300, :500]
    for name in ('P0001', 'P0002'):
        png(tmp_path / f'raw/train/images/{name}.png', image)
        text = tmp_path / f'raw/train/labelTxt/{name}.txt'
        text.parent.mkdir(exist_ok=True)
        text.write_text('210 20 260 20 260 60 210 60 plane 0\n')
    out = tmp_path / 'out'
    options = [str(tmp_path / 'raw'), '--out', str(out), '--size', '256', '--overlap', '56']
    return tmp_path / 'raw', out, [*options, '--workers', '1']


def test_dota_an_interrupted_part_is_done_anew(dota, capsys):
    _, out, options = dota
    half = out / '.train.partial/images/P0001__256__0___0.png'
    half.parent.mkdir(parents=True)
    half.write_bytes(b'half of it')
    assert tool('split_dota')(options) == 0
    assert 'train: 2 images, 12 tiles' in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ['train']
    assert cv2.imread(str(out / 'train/images/P0001__256__0___0.png')).shape == (256, 256, 3)
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*')}
    assert tool('split_dota')(options) == 0
    assert 'train: done before: 2 images, 12 tiles' in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob('*')}
    assert tool('split_dota')([*options, '--overlap', '100']) == 2
    assert (
        'expected the size 256 and the overlap 56 that it was cut with, found 256 and 100'
        in capsys.readouterr().out
    )
    (out / 'train/images/P0001__256__0___0.png').unlink()
    assert tool('split_dota')(options) == 2
    assert 'expected 12 tiles, found 11' in capsys.readouterr().out


def test_dota_an_image_without_its_boxes_is_an_error(dota, capsys):
    raw, out, options = dota
    (raw / 'train/labelTxt/P0002.txt').unlink()
    assert tool('split_dota')(options) == 2
    assert (
        'labelTxt/P0002.txt: expected a file to go with P0002, found none'
        in capsys.readouterr().out
    )
    assert not out.exists()


def test_dota_the_splitters_failure_is_shown_and_nothing_is_left_as_done(dota, capsys):
    raw, out, options = dota
    (raw / 'train/images/P0002.png').write_bytes(b'no image')
    assert tool('split_dota')(options) == 2
    said = capsys.readouterr().out
    assert 'train: expected a splitter that ends with 0, found 1: ' in said
    assert 'UnidentifiedImageError' in said
    assert not (out / 'train').exists()
