"""Predictions as files, read back with other tools than the ones that wrote them."""

import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rasterio
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mssdf.engine import PredictionSaverHook
from mssdf.evaluation.saved_predictions import mirrored_names


class Files:
    """A dataset that knows its files."""

    def __init__(self, paths, **metainfo):
        self.paths, self.metainfo = [str(path) for path in paths], metainfo

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return dict(img_path=self.paths[index])


def save(folder, dataset, samples, per_batch=2):
    """Run the hook as a test loop does."""
    runner = SimpleNamespace(
        test_dataloader=SimpleNamespace(dataset=dataset), logger=SimpleNamespace(info=print)
    )
    hook = PredictionSaverHook(str(folder))
    hook.before_test_epoch(runner)
    for start in range(0, len(samples), per_batch):
        hook.after_test_iter(runner, start, None, samples[start : start + per_batch])
    hook.after_test_epoch(runner, {})


def sample(path, **fields):
    made = BaseDataElement(metainfo=dict(img_path=str(path), img_id=7))
    made.set_data(fields)
    return made


def pixels(values):
    return PixelData(data=torch.as_tensor(values)[None])


def listed(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


@pytest.fixture
def rasters(tmp_path, data_root):
    """A georeferenced raster and a plain picture of the same pixels."""
    place = tmp_path / 'in' / 'with_place.tif'
    plain = tmp_path / 'in' / 'plain.png'
    place.parent.mkdir()
    window = rasterio.windows.Window(100, 50, 40, 30)
    with rasterio.open(data_root / 'autzen/patch/autzen_dom.tif') as source:
        bands = source.read(window=window)
        profile = dict(
            driver='GTiff',
            width=40,
            height=30,
            count=3,
            dtype='uint8',
            crs=source.crs,
            transform=source.window_transform(window),
        )
    with rasterio.open(place, 'w', **profile) as target:
        target.write(bands)
    cv2.imwrite(str(plain), bands.transpose(1, 2, 0))
    return place, plain


def test_labels_have_their_images_name_and_place(tmp_path, rasters):
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, (2, 30, 40))
    dataset = Files(rasters, classes=['a', 'b', 'c'], palette=[[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    samples = [
        sample(path, pred_sem_seg=pixels(labels))
        for path, labels in zip(rasters, maps, strict=True)
    ]
    out = tmp_path / 'out'
    save(out, dataset, samples)
    assert listed(out) == ['classes.json', 'plain.png', 'with_place.tif']
    np.testing.assert_array_equal(cv2.imread(str(out / 'plain.png'), -1), maps[1])
    with rasterio.open(out / 'with_place.tif') as found, rasterio.open(rasters[0]) as image:
        np.testing.assert_array_equal(found.read(1), maps[0])
        assert found.crs == image.crs and found.transform == image.transform
        assert found.dtypes == ('uint8',)
    meaning = json.loads((out / 'classes.json').read_text())
    assert meaning['1'] == dict(name='b', color=[4, 5, 6])


def test_heights_are_meters(tmp_path, rasters):
    heights = np.random.default_rng(0).normal(20, 9, (2, 30, 40)).astype(np.float32)
    samples = [
        sample(path, pred_depth_map=pixels(each))
        for path, each in zip(rasters, heights, strict=True)
    ]
    save(tmp_path / 'out', Files(rasters), samples)
    assert listed(tmp_path / 'out') == ['plain.tif', 'with_place.tif']
    for path, expected in zip(['with_place.tif', 'plain.tif'], heights, strict=True):
        with rasterio.open(tmp_path / 'out' / path) as found:
            assert found.dtypes == ('float32',)
            assert (found.crs is None) == (path == 'plain.tif')
            np.testing.assert_array_equal(found.read(1), expected)


def test_semantic_change_has_three_maps(tmp_path, rasters):
    change, first, second = np.random.default_rng(0).integers(0, 2, (3, 30, 40))
    made = sample(
        rasters[1],
        pred_sem_seg=pixels(change),
        pred_first=pixels(first * 3),
        pred_second=pixels(second * 5),
    )
    save(tmp_path / 'out', Files(rasters[1:], classes=list('abcdef')), [made])
    for name, expected in (('', change), ('_first', first * 3), ('_second', second * 5)):
        found = cv2.imread(str(tmp_path / 'out' / f'plain{name}.png'), -1)
        np.testing.assert_array_equal(found, expected)


def test_a_map_of_another_size_than_its_image_has_no_place(tmp_path, rasters):
    made = sample(rasters[0], pred_sem_seg=pixels(np.zeros((15, 20), int)))
    save(tmp_path / 'out', Files(rasters[:1], classes=['a']), [made])
    assert listed(tmp_path / 'out') == ['classes.json', 'with_place.png']


def test_names_mirror_those_of_the_images():
    names = mirrored_names(['/d/x/1.png', '/d/y/1.png', '/d/y/2.png', '/d/y/2.tif'])
    assert {image: str(name) for image, name in names.items()} == {
        '/d/x/1.png': 'x/1',
        '/d/y/1.png': 'y/1',
        '/d/y/2.png': 'y/2_png',
        '/d/y/2.tif': 'y/2_tif',
    }
    assert str(mirrored_names(['/d/x/a.b.png'])['/d/x/a.b.png']) == 'a.b'
    assert mirrored_names([]) == {}


def test_images_of_one_name_in_two_folders(tmp_path):
    paths = [tmp_path / 'in' / folder / '1.png' for folder in ('x', 'y')]
    samples = [
        sample(path, pred_sem_seg=pixels(np.full((4, 4), i))) for i, path in enumerate(paths)
    ]
    save(tmp_path / 'out', Files(paths, classes=['a', 'b']), samples)
    for i, folder in enumerate(('x', 'y')):
        assert (cv2.imread(str(tmp_path / 'out' / folder / '1.png'), -1) == i).all()


def test_classes_are_a_table(tmp_path):
    paths = [f'/d/{i}.jpg' for i in range(3)]
    scores = torch.tensor([[0.7, 0.3], [0.25, 0.75], [0.5, 0.5]])
    samples = [
        sample(path, pred_score=score, gt_label=torch.tensor([label]))
        for path, score, label in zip(paths, scores, [0, 0, 1], strict=True)
    ]
    del samples[2].gt_label
    save(tmp_path, Files(paths, classes=['field', 'sea, deep']), samples)
    with open(tmp_path / 'predictions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['file'] for row in rows] == paths
    assert [row['truth'] for row in rows] == ['field', 'field', '']
    assert [row['predicted'] for row in rows] == ['field', 'sea, deep', 'field']
    assert [float(row['sea, deep']) for row in rows] == pytest.approx([0.3, 0.75, 0.5])


def instances(boxes, labels, scores):
    return InstanceData(
        bboxes=torch.tensor(boxes), labels=torch.tensor(labels), scores=torch.tensor(scores)
    )


def test_upright_boxes_are_read_by_coco(tmp_path):
    COCO = pytest.importorskip('pycocotools.coco').COCO

    dataset = Files(['/d/a.png'], classes=['ship', 'plane'])
    dataset.cat_ids = [3, 9]
    found = instances([[10.0, 20.0, 40.0, 60.0], [0.0, 0.0, 5.0, 5.0]], [1, 0], [0.9, 0.4])
    save(tmp_path, dataset, [sample('/d/a.png', pred_instances=found)])
    truth = dict(
        info={},
        images=[dict(id=7, width=100, height=100)],
        categories=[dict(id=3, name='ship'), dict(id=9, name='plane')],
        annotations=[],
    )
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    read = COCO(str(tmp_path / 'truth.json')).loadRes(str(tmp_path / 'coco_results.json')).anns
    assert [(each['category_id'], each['bbox']) for each in read.values()] == [
        (9, [10, 20, 30, 40]),
        (3, [0, 0, 5, 5]),
    ]
    assert read[1]['area'] == 1200 and read[1]['image_id'] == 7
    boxes = json.loads((tmp_path / 'predictions.json').read_text())
    assert boxes['images'][0]['boxes'][0] == [10, 20, 40, 60]


def test_rotated_boxes_are_read_as_dota(tmp_path):
    angle = 0.3
    found = instances([[50.0, 40.0, 20.0, 10.0, angle]], [1], [0.8])
    paths = ['/d/P0001.png', '/d/P0002.png']
    nothing = InstanceData(
        bboxes=torch.zeros(0, 5), labels=torch.zeros(0, dtype=int), scores=torch.zeros(0)
    )
    samples = [
        sample(path, pred_instances=each)
        for path, each in zip(paths, (found, nothing), strict=True)
    ]
    save(tmp_path, Files(paths, classes=['ship', 'plane']), samples)
    assert (tmp_path / 'Task1_ship.txt').read_text() == ''
    name, score, *corners = (tmp_path / 'Task1_plane.txt').read_text().split()
    assert (name, float(score)) == ('P0001', 0.8)
    points = np.array(corners, float).reshape(4, 2).astype(np.float32)
    expected = cv2.boxPoints(((50, 40), (20, 10), np.degrees(angle)))
    order = [np.abs(points - corner).sum(axis=1).argmin() for corner in expected]
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(points[order], expected, atol=0.01)


def test_tiles_are_written_as_scenes_even_where_nothing_is_found(tmp_path):
    pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
    paths = ['/d/P0001__1024__0___0.png', '/d/P0001__1024__824___200.png']
    nothing = instances([[0.0] * 5], [0], [0.0])[:0]
    found = instances([[50.0, 40.0, 20.0, 10.0, 0.0]], [1], [0.8])
    samples = [
        sample(path, pred_instances=each)
        for path, each in zip(paths, (nothing, found), strict=True)
    ]
    save(tmp_path / 'some', Files(paths, classes=['ship', 'plane']), samples)
    line = 'P0001 0.80000 864.00 235.00 884.00 235.00 884.00 245.00 864.00 245.00\n'
    assert (tmp_path / 'some/Task1_plane.txt').read_text() == line
    save(tmp_path / 'none', Files(paths[:1], classes=['ship']), samples[:1])
    assert listed(tmp_path / 'none') == ['Task1_ship.txt', 'predictions.json']
