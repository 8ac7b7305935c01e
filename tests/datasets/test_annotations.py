"""Every annotation is read before training: one line with the file, the line and what is wrong."""

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.registry import DefaultScope

from mssdf.datasets.annotations import check_annotations
from mssdf.datasets.annotations.class_lists import check_list
from mssdf.datasets.annotations.coco import read_coco
from mssdf.datasets.annotations.dota import check_raw
from mssdf.engine.data_check import DataCheckError, build_loops

BOX = '10 10 50 10 50 30 10 30 ship 0'
IMAGES = [dict(id=n, file_name=f'{n}.png', width=100, height=80) for n in (1, 2)]
CATEGORIES = [dict(id=5, name='ship'), dict(id=7, name='plane')]


def box(number: int, *sides: float, image: int = 1, category: int = 5, **more) -> dict:
    made = dict(id=number, image_id=image, category_id=category, bbox=list(sides), iscrowd=0)
    return dict(made, area=sides[2] * sides[3], **more)


@pytest.fixture
def dota(tmp_path):
    pytest.importorskip('mmrotate')

    def check(*lines: str, ending: str = '\n', encoding: str = 'utf-8') -> None:
        folder = tmp_path / 'annfiles'
        folder.mkdir(exist_ok=True)
        (folder / 'P0001.txt').write_text(BOX + '\n')
        (folder / 'P0002.txt').write_bytes((ending.join(lines) + ending).encode(encoding))
        (folder / 'P0003.txt').write_text('')  # nothing on the tile
        config = dict(
            type='DOTADataset', data_root=str(tmp_path), ann_file='annfiles',
            data_prefix=dict(img_path='images'), pipeline=[],
        )  # fmt: skip
        with DefaultScope.overwrite_default_scope('mmrotate'):
            check_annotations(dict(type='ConcatDataset', datasets=[config]))

    return check


@pytest.mark.parametrize(
    'lines, said',
    [
        ([BOX, BOX.replace('ship', 'tree')], "line 2: expected a class of plane, .*, found 'tree'"),
        ([BOX, ''], 'line 2: expected 8 coordinates, .* found a blank line'),
        (['imagesource:GoogleEarth', BOX], "line 1: expected a box, found the header 'imagesource"),
        (['gsd:0.146', BOX], 'line 1: .*split_dota.py leaves it out'),
        ([BOX[:-2]], r'line 1: .* found 9 fields: .* \(no difficulty\)'),
        ([BOX, BOX, '1 2 3 ship 0'], 'line 3: .* found 5 fields'),
        ([BOX.replace('50', 'x', 1)], "line 1: expected 8 coordinates, found 'x'"),
        ([BOX.replace('50', 'nan', 1)], "found 'nan'"),
        ([BOX.replace('ship 0', 'ship easy')], "expected a difficulty .* found 'easy'"),
    ],
)
def test_lines_of_dota(dota, lines, said):
    with pytest.raises(ValueError, match=f'P0002.txt: .*{said}'):
        dota(*lines)


def test_encodings_of_dota(dota):
    dota(BOX, BOX.replace('0', '0.5', 1), BOX[:-1] + '2')
    dota(BOX, BOX, ending='\r\n')
    with pytest.raises(ValueError, match='P0002.txt: line 1: expected text, found a byte order'):
        dota(BOX, encoding='utf-8-sig')
    with pytest.raises(ValueError, match='P0002.txt: line 2: expected UTF-8'):
        dota(BOX, BOX.replace('ship', 'fähre'), encoding='latin-1')


def test_dota_as_published_before_it_is_cut(tmp_path):
    """mmrotate's splitter leaves out lines of fewer fields, and their boxes, without a word."""
    path = tmp_path / 'P0001.txt'
    path.write_text(f'imagesource:GoogleEarth\ngsd:0.14\n{BOX}\n\n')
    check_raw([path])
    for line, said in [
        (BOX[:-2], r'line 2: expected .* found 9 fields: .* \(no difficulty\)'),
        (BOX.replace(' ', ','), 'line 2: expected .* found 1 fields'),
        (BOX.replace(' ', '\t'), 'line 2: expected single spaces between the fields'),
    ]:
        path.write_text(f'gsd:0.14\n{line}\n')
        with pytest.raises(ValueError, match=f'P0001.txt: {said}'):
            check_raw([path])


@pytest.fixture
def coco(tmp_path):
    pytest.importorskip('mmdet.datasets')

    def check(content: dict | str, **options) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / 'train.json').write_text(text)
        config = dict(
            type='CocoDataset', data_root=str(tmp_path), ann_file='train.json',
            metainfo=dict(classes=('ship', 'plane')), data_prefix=dict(img='images'), pipeline=[],
        )  # fmt: skip
        with DefaultScope.overwrite_default_scope('mmdet'):
            return check_annotations(dict(config, **options))

    return check


def content(*annotations: dict, **other) -> dict:
    made = dict(images=IMAGES, annotations=list(annotations), categories=CATEGORIES)
    return copy.deepcopy(dict(made, **other))


GOOD = (box(1, 60, 50, 30, 20), box(2, 0, 0, 100, 80, image=2, category=7))


def test_boxes_of_coco_that_fit(coco):
    further = [*CATEGORIES, dict(id=9, name='tree')]
    assert coco(content(*GOOD)) is None  # and raises nothing
    assert coco(content(*GOOD, box(3, 90, 70, 15, 15))) is None  # over the edge
    assert coco(content(*GOOD, categories=further)) is None
    assert coco(dict(images=IMAGES, categories=CATEGORIES), test_mode=True) is None
    assert coco(content(), test_mode=True) is None


@pytest.mark.parametrize(
    'made, said',
    [
        (content(), 'expected boxes of a pixel and more to train on, found none in 2 images'),
        (content(*GOOD, box(3, 1, 1, 5, 5, category=6)),
         r'annotation 3: expected category_id to be one of the categories \(5, 7\), found 6'),
        (content(*GOOD, box(3, 1, 1, 5, 5, image=9)), 'annotation 3: expected image_id .* 9'),
        # corners: some leave the image if taken for sides; or the areas tell
        (content(box(1, 60, 50, 90, 70), box(2, 10, 10, 30, 40)), 'found corners: .*60.*90.*70'),
        (content(dict(box(1, 10, 10, 30, 40), area=600), dict(box(2, 5, 5, 25, 35), area=600)),
         'expected bbox as left, top, width and height, found corners'),
        (content(box(1, 0.1, 0.2, 0.3, 0.3)), 'expected bbox in pixels, found shares of the image'),
        (content(*GOOD, box(3, 120, 10, 20, 20)), 'annotation 3: .* its image of 100 x 80'),
        (content(*GOOD, dict(box(3, 9, 9, 5, 5), bbox=[9, 9, -5, 5])), 'annotation 3: .* area in'),
        (content(*GOOD, dict(box(3, 9, 9, 5, 5), bbox=[9, 9, 5])), 'expected bbox as 4 numbers'),
        (content(*GOOD, dict(box(3, 9, 9, 5, 5), area=0)), r'annotations\[2\]: expected area'),
        (content(*GOOD, GOOD[0]), 'annotations: expected each id once, found 1 again'),
        (content(*GOOD, categories=CATEGORIES[:1]), "found none of 'plane' among ship"),
        (content(*GOOD, categories=CATEGORIES[::-1]),
         r'in the order of the classes \(ship, plane\), .* found plane, ship'),
        (content(*GOOD, images=[dict(IMAGES[0], width=None), IMAGES[1]]),
         r'images\[0\]: expected width above 0, found None'),
        (content({key: value for key, value in GOOD[0].items() if key != 'area'}),
         r'annotations\[0\]: expected the keys .* found no area'),
        (dict(images=IMAGES, categories=CATEGORIES), 'expected a list annotations, found none'),
        ([1, 2], 'expected a list images, found none'),
        ('{"images": [],\n "annotations": [}', 'line 2: expected JSON, found'),
    ],
)  # fmt: skip
def test_boxes_of_coco(coco, made, said):
    with pytest.raises(ValueError, match=f'train.json: .*{said}'):
        coco(made)


@pytest.mark.parametrize('key', ['id', 'image_id', 'category_id'])
def test_ids_of_coco_that_are_lists(coco, key):
    with pytest.raises(ValueError, match=rf'annotations\[0\]: expected {key} as a number, found'):
        coco(content(dict(GOOD[0], **{key: [1]})))


@pytest.mark.parametrize(
    ('encoding', 'said'),
    [('utf-8-sig', 'expected JSON, found Unexpected UTF-8 BOM'), ('utf-16', 'expected UTF-8')],
)
def test_encodings_of_coco(tmp_path, encoding, said):
    path = tmp_path / 'train.json'
    path.write_text('{}', encoding)
    with pytest.raises(ValueError, match=f'train.json: .*{said}'):
        read_coco(path)


def test_images_that_the_filter_leaves_out(coco):
    filters = dict(filter_empty_gt=True, min_size=90)
    with pytest.raises(ValueError, match=r'at least 90 pixels \(filter_cfg.min_size\), found none'):
        coco(content(*GOOD), filter_cfg=filters)
    coco(content(*GOOD), filter_cfg=dict(filters, min_size=80))


def test_xml_of_dior(tmp_path, data_root):
    pytest.importorskip('mmrotate')
    from mssdf.preparation.examples import make_examples

    root = make_examples(data_root, tmp_path, ['dior'])[0]
    config = dict(
        type='DIORDataset', data_root=str(root), ann_file='ImageSets/Main/train.txt',
        data_prefix=dict(img_path='JPEGImages-trainval'), pipeline=[],
    )  # fmt: skip
    with DefaultScope.overwrite_default_scope('mmrotate'):
        check_annotations(config)
        name = (root / 'ImageSets/Main/train.txt').read_text().split()[-1]
        xml = root / f'Annotations/Oriented Bounding Boxes/{name}.xml'
        text = xml.read_text()
        xml.write_text(re.sub('<name>[a-z]+</name>', '<name>tree</name>', text, count=1))
        with pytest.raises(ValueError, match=f"{name}.xml: expected one of .*, found 'tree'"):
            check_annotations(config)
        xml.unlink()
        with pytest.raises(FileNotFoundError, match=f'{name}.xml: expected a file, found none'):
            check_annotations(config)


def test_lists_of_scenes(tmp_path):
    listed = tmp_path / 'train.txt'
    dataset = SimpleNamespace(
        ann_file=str(listed), with_label=True, metainfo=dict(classes=('a', 'b'))
    )
    listed.write_text('a/1 of 2.jpg 0\nb/1.jpg 1\n')
    check_list(dataset)
    for line, said in [
        ('a/2.jpg', "expected a path and a label, found 'a/2.jpg'"),
        ('a/2.jpg a', 'expected a path and a label'),
        ('a/2.jpg ²', 'expected a path and a label'),
        ('', 'found a blank line'),
        ('a/2.jpg 2', r'expected a label from 0 to 1 \(2 classes\), found 2'),
    ]:
        listed.write_text(f'a/1.jpg 0\n{line}\n')
        with pytest.raises(ValueError, match=f'train.txt: line 2: .*{said}'):
            check_list(dataset)


def test_before_the_loop_is_built(tmp_path):
    """The tools' own way: the line says which loader, before mmrotate's KeyError: 'tree'."""
    pytest.importorskip('mmrotate')
    (tmp_path / 'P1.txt').write_text(BOX.replace('ship', 'tree'))
    dataset = dict(type='mmrotate.DOTADataset', ann_file=str(tmp_path), pipeline=[])
    runner = SimpleNamespace(cfg=dict(train_dataloader=dict(dataset=dataset)))
    with pytest.raises(DataCheckError, match=r'^train_dataloader: .*P1.txt: line 1: expected a cl'):
        build_loops(runner, 'train')


def test_no_sample_that_the_filter_leaves(tmp_path):
    class Runner:
        cfg: dict = {}

        @property
        def train_loop(self):
            raise ValueError('need at least one array to concatenate')

    with pytest.raises(DataCheckError, match='train_dataloader: expected samples, found none'):
        build_loops(Runner(), 'train')


def test_the_same_words_of_another_error_are_told_as_they_are():
    class Runner:
        cfg: dict = {}

        @property
        def train_loop(self):
            raise RuntimeError('need at least one array to concatenate')

    with pytest.raises(DataCheckError, match='train_dataloader: RuntimeError: need at least one'):
        build_loops(Runner(), 'train')


def test_shipped_examples_pass(tmp_path, data_root):
    """The annotations that the configs of the examples name."""
    pytest.importorskip('mmrotate')
    from mmengine.config import Config

    from mssdf.preparation.examples import make_examples

    configs = Path(__file__).resolve().parents[2] / 'configs'
    upright, rotated = (
        f'{folder}/mssdf_vit-t-p16-{name}_4xb4-adamw-12e'
        for folder, name in (('detection', 'faster-rcnn'), ('rotated_detection', 'oriented-rcnn'))
    )
    for name, config, scope in [
        ('dior', f'{upright}_dior', 'mmdet'),
        ('dior', f'{rotated}_dior-r', 'mmrotate'),
        ('dota', f'{rotated}_dota', 'mmrotate'),
        ('nwpu-vhr10', f'{upright}_nwpu-vhr10', 'mmdet'),
        ('aid', 'classification/mssdf_vit-t-p16_4xb64-adamw-100e_aid', 'mmpretrain'),
    ]:
        root = make_examples(data_root, tmp_path, [name])[0]
        loaded = Config.fromfile(configs / f'{config}.py')
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            dataset = loaded[loader].dataset
            for part in dataset.get('datasets', [dataset]):
                part.data_root = str(root)
            with DefaultScope.overwrite_default_scope(scope):
                assert check_annotations(dataset) is None  # and raises nothing
