"""Data sets of heights and of two dates, laid out from real imagery, through mmseg's pipelines."""

import cv2
import numpy as np
import pytest
import rasterio

pytest.importorskip('mmseg')

from mmengine.registry import DefaultScope

from mssdf.datasets.transforms import LoadHeight
from mssdf.registry import DATASETS


@pytest.fixture(scope='module')
def heights(data_root, tmp_path_factory):
    """Four pairs of 128 px cut from Autzen, laid out as HeightDataset wants them."""
    root = tmp_path_factory.mktemp('heights')
    for folder, kind in (('images', 'dom'), ('heights', 'dsm')):
        (root / folder).mkdir()
        with rasterio.open(data_root / f'autzen/patch/autzen_{kind}.tif') as raster:
            for index in range(4):
                window = rasterio.windows.Window(128 * index, 600, 128, 128)
                values, profile = raster.read(window=window), raster.profile
                profile.update(height=128, width=128, tiled=False)
                for key in ('blockxsize', 'blockysize', 'photometric'):
                    profile.pop(key, None)
                with rasterio.open(root / folder / f'{index}.tif', 'w', **profile) as out:
                    out.write(values)
    return root


def height_dataset(root, *transforms, **extra):
    settings = dict(
        type='mssdf.HeightDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', depth_map_path='heights'),
        pipeline=[dict(type='mssdf.LoadRasters'), dict(type='mssdf.LoadHeight'), *transforms],
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(settings | extra)


def test_heights_are_meters_with_nan(heights):
    dataset = height_dataset(heights)
    assert len(dataset) == 4
    for index in range(4):
        sample = dataset[index]
        with rasterio.open(heights / f'heights/{index}.tif') as raster:
            values, valid = raster.read(1), raster.read_masks(1) != 0
        assert (np.isfinite(sample['gt_depth_map']) == valid).all()
        assert (sample['gt_depth_map'][valid] == values[valid]).all()


def test_crops_and_flips_keep_heights_at_their_pixels(heights):
    """Heights written into a band of the image are still the target's after all transforms."""
    moves = [
        dict(type='mmseg.RandomCrop', crop_size=(64, 64)),
        dict(type='mmseg.RandomFlip', prob=0.5),
        dict(type='mmseg.RandomFlip', prob=0.5, direction='vertical'),
        dict(type='mmseg.PackSegInputs'),
    ]
    both = dict(key='depth_map_path')
    pipeline = [dict(type='mssdf.LoadRasters', sources=[{}, both]), dict(type='mssdf.LoadHeight')]
    dataset = height_dataset(heights, pipeline=[*pipeline, *moves])
    np.random.seed(0)
    for index in range(4):
        packed = dataset[index]
        target = packed['data_samples'].gt_depth_map.data.numpy()
        assert target.shape == (1, 64, 64)
        assert np.array_equal(packed['inputs'][3:].numpy(), target, equal_nan=True)


def test_missing_height_map_is_named(heights, tmp_path):
    root = tmp_path / 'copy'
    (root / 'images').mkdir(parents=True)
    (root / 'heights').mkdir()
    (root / 'images/0.tif').write_bytes((heights / 'images/0.tif').read_bytes())
    with pytest.raises(FileNotFoundError, match=r'heights/0.tif: expected a file to go with'):
        height_dataset(root)


@pytest.fixture
def second(data_root, tmp_path):
    """Two pairs in SECOND's layout: NAIP crops, labels from their vegetation index."""
    for folder in ('im1', 'im2', 'label1', 'label2'):
        (tmp_path / folder).mkdir()
    names = ['chico_2020_18', 'claremont_2020_12', 'riverside_2020_15']
    bands = []
    for name in names:
        with rasterio.open(data_root / f'urban_trees/{name}.tif') as raster:
            bands.append(raster.read().transpose(1, 2, 0))
    for index in range(2):
        first, later = bands[index], bands[index + 1]
        green = [np.where(each[..., 3] > each[..., 0], 4, 2) for each in (first, later)]
        changed = green[0] != green[1]
        for date, image in (('1', first), ('2', later)):
            rgb = np.ascontiguousarray(image[..., 2::-1])
            cv2.imwrite(str(tmp_path / f'im{date}/{index}.png'), rgb)
        for date, labels in zip('12', green, strict=True):
            labels = np.where(changed, labels, 0).astype(np.uint8)
            cv2.imwrite(str(tmp_path / f'label{date}/{index}.png'), labels)
    return tmp_path


def test_two_dates_reach_the_model(second):
    settings = dict(
        type='mssdf.SECONDDataset',
        data_root=str(second),
        pipeline=[
            dict(type='mssdf.LoadRasters', sources=[{}, dict(key='img_path2')]),
            dict(type='mssdf.LoadSemanticChange', num_classes=6),
            dict(type='mmseg.RandomFlip', prob=1.0),
            dict(type='mssdf.PackSemanticChange'),
        ],
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(settings)
    packed = dataset[1]
    sample = packed['data_samples']
    first = cv2.imread(str(second / 'im1/1.png'))[:, ::-1, ::-1]
    assert (packed['inputs'][:3].numpy() == first.transpose(2, 0, 1)).all()
    later = cv2.imread(str(second / 'im2/1.png'))[:, ::-1, ::-1]
    assert (packed['inputs'][3:].numpy() == later.transpose(2, 0, 1)).all()
    assert (first != later).any()
    for name, folder in (('gt_first', 'label1'), ('gt_second', 'label2')):
        labels = cv2.imread(str(second / folder / '1.png'), cv2.IMREAD_UNCHANGED)[:, ::-1]
        assert (getattr(sample, name).data[0].numpy() == labels).all()
    assert ((sample.gt_first.data > 0) == (sample.gt_sem_seg.data == 1)).all()


def test_an_image_to_predict_has_no_heights():
    """Inferencers put images through the pipeline of the test."""
    results = dict(img_path='a.tif', ori_shape=(4, 5))
    assert LoadHeight()(dict(results)) == results
