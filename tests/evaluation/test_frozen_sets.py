"""Evaluation sets: their descriptions, and what is read of the imagery that ships."""

import json

import cv2
import numpy as np
import pytest
import rasterio
import torch
from PIL import Image, ImageDraw
from rasterio.transform import from_origin

from mssdf.evaluation import load_labeled_images
from mssdf.evaluation.frozen import EvaluationSet, parse_set, resolve_sets, suite
from mssdf.evaluation.frozen.buildings import building_chips, tile_of
from mssdf.evaluation.frozen.cutting import Layers, resized
from mssdf.evaluation.frozen.folds import group_folds
from mssdf.evaluation.frozen.places import place_groups
from mssdf.evaluation.frozen.reading import load_set, read_heights, read_mask
from mssdf.evaluation.labeled_images import read_rgb


def write_tif(path, values, nodata=None, origin=None, pixel=0.5):
    values = np.atleast_3d(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = dict(driver='GTiff', count=values.shape[2], dtype=values.dtype, nodata=nodata)
    if origin is not None:
        profile['transform'] = from_origin(*origin, pixel, pixel)
    with rasterio.open(
        path, 'w', height=values.shape[0], width=values.shape[1], **profile
    ) as raster:
        raster.write(np.moveaxis(values, -1, 0))


def test_sets_on_the_command_line_and_in_a_file(tmp_path):
    (found,) = parse_set('mexico=height:some/where,window=64,limit=7,image=_rgb.tif')
    assert found == EvaluationSet(
        'mexico', 'height', 'some/where', window=64, limit=7, image='_rgb.tif'
    )
    assert parse_set('a=heights:b')[0].kind == 'height'
    assert parse_set('kampala') == [one for one in suite('small') if one.name == 'kampala']
    file = tmp_path / 'sets.json'
    file.write_text(json.dumps([dict(name='a', kind='scenes', path='images')]))
    (described,) = resolve_sets([str(file)])
    assert described.path == str(tmp_path / 'images')


@pytest.mark.parametrize(
    'text, message',
    [
        ('nothing', 'NAME=KIND:PATH'),
        ('a=scenes', 'NAME=KIND:PATH'),
        ('a=pictures:b', 'kind: expected one of'),
        ('a=scenes:b,size=3', r"found \['size'\]"),
        ('a=scenes:b,limit=many', 'limit: expected an integer'),
        ('a=scenes:b,limit=0', 'limit: expected 1 or more'),
        ('a=scenes:b,limit', 'OPTION=VALUE'),
    ],
)
def test_wrong_descriptions_are_told(text, message):
    with pytest.raises(ValueError, match=message):
        parse_set(text)


def test_two_sets_of_one_name():
    with pytest.raises(ValueError, match='different names'):
        resolve_sets(['a=scenes:b', 'a=scenes:c'])


def test_the_small_suite_is_whole():
    tasks = {}
    for described in suite('small'):
        data = load_set(described, 128)
        tasks[data.name] = data.task
        assert data.images.shape[1:] == (3, 128, 128) and data.size == 128
        assert len(data.names) == len(set(data.names)) == len(data)
        if data.task != 'scenes':
            fold = group_folds(data.groups, 4)
            for group in set(data.groups):  # no group on both sides
                assert len(set(fold[data.groups == group])) == 1
        if data.task == 'height':
            for window in data.target:
                assert float(window[window.isfinite()].median()) == pytest.approx(0, abs=0.02)
        if described.kind == 'cover':
            assert set(data.modalities) == {'dsm'}
    assert tasks == {
        'eurosat': 'scenes',
        'kampala': 'masks',
        'autzen': 'height',
        'ign': 'height',
        'autzen-cover': 'masks',
        'ign-cover': 'masks',
    }


def test_windows_are_the_pixels_of_the_raster(data_root):
    (described,) = parse_set('autzen')
    data = load_set(described, 128)
    with rasterio.open(data_root / 'autzen/patch/autzen_dom.tif') as raster:
        image = raster.read()
    with rasterio.open(data_root / 'autzen/patch/autzen_dsm.tif') as raster:
        heights, known = raster.read(1), raster.read_masks(1) > 0
    columns = image.shape[2] // 128
    index = data.names.index(f'autzen#{20}')
    # windows that are mostly unknown are left out before they are counted
    places = [
        (top, left)
        for top in range(0, image.shape[1] - 127, 128)
        for left in range(0, columns * 128, 128)
        if known[top : top + 128, left : left + 128].mean() >= 0.5
    ]
    top, left = places[20]
    np.testing.assert_array_equal(data.images[index], image[:, top : top + 128, left : left + 128])
    window = np.where(known, heights, np.nan)[top : top + 128, left : left + 128]
    np.testing.assert_allclose(data.target[index], window - np.nanmedian(window), atol=1e-4)
    assert data.groups[index] == left // 128


def test_scenes_are_the_labeled_images(data_root):
    data = load_set(parse_set('eurosat')[0], 64)
    found = load_labeled_images(data_root / 'eurosat_rgb', 64)
    assert torch.equal(data.images, found.images)
    np.testing.assert_array_equal(data.target.numpy(), found.labels)
    few = load_set(EvaluationSet('e', 'scenes', str(data_root / 'eurosat_rgb'), limit=50), 64)
    assert np.bincount(few.target.numpy()).tolist() == [5] * 10


def test_buildings_are_where_another_renderer_draws_them(data_root):
    folder = data_root / 'buildings_kampala'
    data = load_set(parse_set('kampala')[0], 256)
    features = json.loads((folder / 'labels.geojson').read_text())['features']
    for index in (0, 13, 27):
        zoom, x, y = (int(part) for part in data.names[index].split('-'))
        picture = Image.new('L', (256, 256))
        for feature in features:
            degrees = np.array(feature['geometry']['coordinates'][0])[:, :2]
            column = (degrees[:, 0] + 180) / 360 * 2**zoom - x
            latitude = np.radians(degrees[:, 1])
            row = (1 - np.log(np.tan(latitude) + 1 / np.cos(latitude)) / np.pi) / 2 * 2**zoom - y
            points = [(a * 256 - 0.5, b * 256 - 0.5) for a, b in zip(column, row, strict=True)]
            ImageDraw.Draw(picture).polygon(points, fill=1)
        drawn = np.asarray(picture)
        mask = data.target[index].numpy()
        assert drawn.sum() > 100
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.9


def test_zooms_of_the_same_ground_are_one_group(data_root, tmp_path):
    source = data_root / 'buildings_kampala'
    (tmp_path / 'labels.geojson').write_text((source / 'labels.geojson').read_text())
    chip = (source / '20-619224-523264.jpg').read_bytes()
    names = ['20-619224-523264', 'OAM-1238449-1046529-21', 'OAM-309612-261632-19']
    for name in [*names, '20-619226-523264']:
        (tmp_path / f'{name}.jpg').write_bytes(chip)
    groups = {one.path.stem: one.group for one in building_chips(tmp_path)}
    assert len({groups[name] for name in names}) == 1
    assert groups['20-619226-523264'] != groups[names[0]]
    with pytest.raises(ValueError, match='web mercator'):
        tile_of(tmp_path / 'chip.jpg')


def test_files_that_overlap_are_one_group_and_neighbors_are_in_order(tmp_path):
    blank = np.zeros((10, 10), np.uint8)
    for name, north in dict(a=100, b=0, c=50, d=98).items():  # each 5 m high
        write_tif(tmp_path / f'{name}.tif', blank, origin=(0, north))
    paths = sorted(tmp_path.glob('*.tif'))
    assert place_groups(paths) == [2, 0, 1, 2]
    Image.fromarray(blank).save(tmp_path / 'e.png')
    assert place_groups(sorted(tmp_path.iterdir())) == [0, 1, 2, 3, 4]


def folder_of_masks(root, rng, count=3, values=(0, 1, 255)):
    for name in (f'image_{number}' for number in range(count)):
        rgb = rng.integers(0, 256, (32, 32, 3), np.uint8)
        for kind, pixels in (
            ('images', rgb),
            ('masks', rng.choice(values, (32, 32)).astype(np.uint8)),
        ):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / kind / f'{name}.png')


def test_folders_of_images_masks_and_heights(tmp_path):
    rng = np.random.default_rng(0)
    folder_of_masks(tmp_path, rng)
    for number in range(3):
        heights = rng.normal(size=(32, 32)).astype(np.float32)
        heights[:4] = -9999
        write_tif(tmp_path / f'heights/image_{number}.tif', heights, nodata=-9999)
    data = load_set(EvaluationSet('m', 'masks', str(tmp_path)), 32)
    mask = np.asarray(Image.open(tmp_path / 'masks/image_1.png')).astype(int)
    np.testing.assert_array_equal(data.target[1], np.where(mask == 255, -1, mask))
    values, valid = data.modalities['dsm']
    assert not valid[:, :, :4].any() and valid[:, :, 4:].all()
    with rasterio.open(tmp_path / 'heights/image_2.tif') as raster:
        np.testing.assert_array_equal(values[2, 0, 4:], raster.read(1)[4:])

    cut = load_set(EvaluationSet('m', 'masks', str(tmp_path), window=16), 16)
    np.testing.assert_array_equal(cut.images[7], data.images[1][:, 16:, 16:])
    assert len(cut) == 12 and cut.names[7] == 'image_1#3'

    (tmp_path / 'masks/image_2.png').unlink()
    with pytest.raises(ValueError, match="set 'm'.*expected a mask for image_2.png"):
        load_set(EvaluationSet('m', 'masks', str(tmp_path)), 32)


def test_masks_of_0_and_255_have_two_classes(tmp_path):
    folder_of_masks(tmp_path, np.random.default_rng(0), values=(0, 255))
    data = load_set(EvaluationSet('m', 'masks', str(tmp_path)), 32)
    assert data.classes == ['0', '255'] and set(data.target.unique().tolist()) == {0, 1}


@pytest.mark.parametrize(
    'ignored, kept', [(0, ['1', '2']), (2, ['0', '1']), (255, ['0', '1', '2'])]
)
def test_an_ignored_value_is_no_class(tmp_path, ignored, kept):
    folder_of_masks(tmp_path, np.random.default_rng(0), values=(0, 1, 2))
    data = load_set(EvaluationSet('m', 'masks', str(tmp_path), ignore=ignored), 32)
    mask = np.stack([np.asarray(Image.open(path)) for path in sorted(tmp_path.glob('masks/*'))])
    expected = np.select([mask == int(one) for one in kept], range(len(kept)), -1)
    np.testing.assert_array_equal(data.target, expected)
    assert data.classes == kept


@pytest.mark.parametrize('values, ignored, left', [((0, 1), 0, 1), ((0, 255), 0, 255)])
def test_an_ignored_value_that_leaves_one_class_is_told(tmp_path, values, ignored, left):
    folder_of_masks(tmp_path, np.random.default_rng(0), values=values)
    with pytest.raises(ValueError, match=rf"set 'm'.*ignore={ignored}, found \[{left}\]"):
        load_set(EvaluationSet('m', 'masks', str(tmp_path), ignore=ignored), 32)


@pytest.mark.parametrize('size', [32, 24])  # cut, and resized, which leaves flat ground hardly flat
def test_heights_without_any_difference_are_told(tmp_path, size):
    rng = np.random.default_rng(0)
    for number in range(3):
        write_tif(tmp_path / f'{number}_dom.tif', rng.integers(0, 256, (32, 32, 3), np.uint8))
        flat = np.full((32, 32), 123.456 + number, np.float32)
        write_tif(tmp_path / f'{number}_dsm.tif', flat)
    described = EvaluationSet('flat', 'height', str(tmp_path), window=32)
    with pytest.raises(ValueError, match="set 'flat': expected heights that vary .* 3 windows"):
        load_set(described, size)
    flat[:16] += 1
    write_tif(tmp_path / '2_dsm.tif', flat)
    assert len(load_set(described, size)) == 3


def test_heights_beside_scenes(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('a/1', 'a/2', 'b/1', 'b/2'):
        path = tmp_path / f'rgb/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
        heights = np.arange(256, dtype=np.float32).reshape(16, 16)
        write_tif(tmp_path / f'dsm/{name}.tif', heights)
    described = EvaluationSet('s', 'scenes', str(tmp_path / 'rgb'), heights='../dsm')
    data = load_set(described, 8)
    expected = cv2.resize(
        np.arange(256, dtype=np.float32).reshape(16, 16), (8, 8), interpolation=cv2.INTER_AREA
    )
    np.testing.assert_allclose(data.modalities['dsm'][0][3, 0], expected, rtol=1e-5)


def test_a_missing_folder_or_heights_of_another_size(tmp_path):
    with pytest.raises(FileNotFoundError, match="set 'x'.*expected a folder"):
        load_set(EvaluationSet('x', 'height', str(tmp_path / 'gone')), 16)
    write_tif(tmp_path / 'a_dom.tif', np.zeros((20, 20, 3), np.uint8))
    write_tif(tmp_path / 'a_dsm.tif', np.zeros((20, 10), np.float32))
    with pytest.raises(ValueError, match='a_dom.tif: expected image, mask and heights of one size'):
        load_set(EvaluationSet('x', 'height', str(tmp_path)), 16)


@pytest.mark.parametrize('offset', [32, 24])
def test_windows_that_share_ground_are_in_one_group(tmp_path, offset):
    """Two files of one strip of ground, the second some pixels to the east of the first."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (16, 16 * 8 + offset, 3), np.uint8)
    heights = rng.random(ground.shape[:2]).astype(np.float32)
    lefts = []
    for name, left in dict(b=0, a=offset).items():
        place = slice(None), slice(left, left + 16 * 8)
        for end, values in (('dom', ground), ('dsm', heights)):
            write_tif(tmp_path / f'{name}_{end}.tif', values[place], origin=(left, 0), pixel=1.0)
    write_tif(tmp_path / 'far_dom.tif', ground[:, :32], origin=(900, 0), pixel=1.0)
    write_tif(tmp_path / 'far_dsm.tif', heights[:, :32], origin=(900, 0), pixel=1.0)
    data = load_set(EvaluationSet('h', 'height', str(tmp_path)), 16)
    start = dict(a=offset, b=0, far=900)
    for name in data.names:
        file, _, number = name.partition('#')
        lefts.append(start[file] + 16 * int(number))
    for one in range(len(data)):
        for other in range(one):
            if abs(lefts[one] - lefts[other]) < 16:
                assert data.groups[one] == data.groups[other]
    # at an offset of whole windows all strips stay, else those that overlap hang together
    # but for the first and the last; two more are far away
    assert len(set(data.groups)) == (10 if offset == 32 else 3) + 2


def test_heights_that_mark_holes_without_saying_so(tmp_path):
    heights = np.full((16, 16), 12.5, np.float32)
    heights[0], heights[1], heights[2], heights[3] = -9999, -32767, -3.4e38, np.inf
    write_tif(tmp_path / 'a.tif', heights)
    found = read_heights(tmp_path / 'a.tif')
    assert np.isnan(found[:4]).all() and (found[4:] == 12.5).all()


def test_images_without_a_known_height_are_left_out(tmp_path):
    for number in range(3):
        heights = np.full((16, 16), np.nan if number == 1 else number, np.float32)
        heights[:8] += 1
        write_tif(tmp_path / f'{number}_dom.tif', np.zeros((16, 16, 3), np.uint8))
        write_tif(tmp_path / f'{number}_dsm.tif', heights)
    data = load_set(EvaluationSet('h', 'height', str(tmp_path), window=0), 16)
    assert data.names == ['0', '2']
    for number in (0, 2):
        write_tif(tmp_path / f'{number}_dsm.tif', np.full((16, 16), -9999, np.float32))
    with pytest.raises(ValueError, match='with known targets, found none'):
        load_set(EvaluationSet('h', 'height', str(tmp_path), window=0), 16)


@pytest.mark.parametrize('end', ['png', 'tif'])
def test_masks_of_colors_are_refused_and_gray_ones_read(tmp_path, end):
    gray = np.random.default_rng(0).integers(0, 3, (8, 8)).astype(np.uint8)
    colors = np.array([(255, 255, 255), (255, 0, 0), (0, 0, 255)], np.uint8)[gray]
    path = tmp_path / f'mask.{end}'

    def write(values):
        write_tif(path, values) if end == 'tif' else Image.fromarray(values).save(path)

    write(np.repeat(gray[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_mask(path), gray)
    write(colors)
    with pytest.raises(ValueError, match=f'mask.{end}: expected class numbers.*found 3 bands'):
        read_mask(path)


def test_masks_of_fractions_are_refused(tmp_path):
    write_tif(tmp_path / 'mask.tif', np.array([[0, 0.5], [1, 2]], np.float32))
    with pytest.raises(ValueError, match='whole numbers'):
        read_mask(tmp_path / 'mask.tif')


def test_large_labels_survive_resizing():
    labels = np.random.default_rng(0).choice([7, 40_000, 3_000_000_000], (8, 8))
    blank = np.zeros((8, 8, 3), np.uint8)
    found = resized(Layers(blank, np.ones((8, 8), bool), labels), 16).labels
    np.testing.assert_array_equal(found, labels.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize('bands', [1, 3, 4])
def test_deep_images_keep_their_values(tmp_path, bands):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, bands)).astype(np.uint16)
    with rasterio.open(tmp_path / 'a.png', 'w', 'PNG', 8, 8, bands, dtype='uint16') as raster:
        raster.write(np.moveaxis(values, -1, 0))
    expected = values.repeat(3, axis=2) if bands == 1 else values[..., :3]
    np.testing.assert_array_equal(read_rgb(tmp_path / 'a.png'), expected)


def ring(*corners):
    """Corners in pixels of the chip 20-619224-523264 as a closed ring in degrees."""
    found = []
    for column, row in [*corners, corners[0]]:
        x, y = (619224 + column / 256) / 2**20, (523264 + row / 256) / 2**20
        found.append([x * 360 - 180, float(np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y)))))])
    return found


def test_outlines_of_several_parts_with_holes_and_without_geometry(tmp_path):
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(tmp_path / '20-619224-523264.png')
    outer = ring((10, 10), (60, 10), (60, 60), (10, 60))
    hole = ring((20, 20), (40, 20), (40, 40), (20, 40))
    other = ring((100, 100), (120, 100), (120, 140), (100, 140))
    parts = dict(type='MultiPolygon', coordinates=[[outer, hole], [other]])
    labels = tmp_path / 'labels.geojson'
    labels.write_text(json.dumps(dict(features=[dict(geometry=parts), dict(geometry=None)])))
    mask = load_set(EvaluationSet('b', 'buildings', str(tmp_path)), 256).target[0].numpy()
    expected = np.zeros((256, 256), int)
    expected[10:60, 10:60], expected[20:40, 20:40], expected[100:140, 100:120] = 1, 0, 1
    assert (mask != expected).sum() < 0.6 * (200 + 80 + 120)  # pixels on the outlines
    assert mask[30, 30] == 0 and mask[120, 110] == 1 and mask[15, 15] == 1

    for content, message in (
        ('no json', 'expected a FeatureCollection'),
        ('{"features": [{"geometry": {"type": "Point", "coordinates": [0, 0]}}]}', 'found Point'),
    ):
        labels.write_text(content)
        with pytest.raises(ValueError, match=f'labels.geojson: .*{message}'):
            load_set(EvaluationSet('b', 'buildings', str(tmp_path)), 256)
