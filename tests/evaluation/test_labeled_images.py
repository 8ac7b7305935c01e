import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from mssdf.evaluation import load_labeled_images, read_split, stratified_split


@pytest.fixture
def folder(tmp_path):
    """Class ``a``: a PNG and a JPEG; class ``b``: a 4-band uint8 TIFF and a gray PNG."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
    for name in ('a', 'b', 'empty'):
        (tmp_path / name).mkdir()
    Image.fromarray(pixels).save(tmp_path / 'a' / '0.png')
    Image.new('RGB', (8, 8), (10, 100, 200)).save(tmp_path / 'a' / '1.JPG')
    with rasterio.open(tmp_path / 'b' / '0.tif', 'w', 'GTiff', 8, 8, 4, dtype='uint8') as raster:
        raster.write(np.concatenate([pixels.transpose(2, 0, 1), np.zeros((1, 8, 8), np.uint8)]))
    Image.fromarray(pixels[..., 0]).save(tmp_path / 'b' / '1.png')
    (tmp_path / 'a' / 'notes.txt').touch()
    return tmp_path, pixels


def test_reads_rgb_of_every_format(folder):
    root, pixels = folder
    data = load_labeled_images(root, 8)
    assert data.classes == ['a', 'b']
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.paths == ['a/0.png', 'a/1.JPG', 'b/0.tif', 'b/1.png']
    images = data.images.numpy().transpose(0, 2, 3, 1)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], pixels)
    np.testing.assert_allclose(images[1], np.full((8, 8, 3), (10, 100, 200)), atol=3)
    np.testing.assert_array_equal(images[2], pixels)
    np.testing.assert_array_equal(images[3], np.repeat(pixels[..., :1], 3, axis=2))


def test_resizes(folder):
    root, pixels = folder
    half = load_labeled_images(root, 4).images[0].numpy().transpose(1, 2, 0)
    means = pixels.reshape(4, 2, 4, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 0.5
    assert load_labeled_images(root, 16).images.shape == (4, 3, 16, 16)


def test_sixteen_bits_keep_their_values(folder):
    root, _ = folder
    values = np.random.default_rng(1).integers(0, 10000, (3, 8, 8)).astype(np.uint16)
    with rasterio.open(root / 'b' / '2.tif', 'w', 'GTiff', 8, 8, 3, dtype='uint16') as raster:
        raster.write(values)
    images = load_labeled_images(root, 8).images
    assert images.dtype.is_floating_point
    np.testing.assert_array_equal(images[4].numpy(), values)


def test_wrong_folders(folder, tmp_path):
    root, _ = folder
    with pytest.raises(FileNotFoundError, match='gone'):
        load_labeled_images(root / 'gone', 8)
    with pytest.raises(ValueError, match='two classes'):
        load_labeled_images(root / 'a', 8)
    (root / 'a' / '9.png').write_text('no image')
    with pytest.raises(ValueError, match='9.png'):
        load_labeled_images(root, 8)


def test_split_is_stratified_whole_and_the_same_again():
    labels = np.repeat([0, 1, 2], [10, 20, 2])
    bank, query = stratified_split(labels, 0.3, seed=4)
    assert sorted([*bank, *query]) == list(range(32))
    assert np.bincount(labels[query]).tolist() == [3, 6, 1]
    again = stratified_split(labels, 0.3, seed=4)
    np.testing.assert_array_equal(query, again[1])
    assert not np.array_equal(query, stratified_split(labels, 0.3, seed=5)[1])


def test_split_refuses():
    with pytest.raises(ValueError, match='query_share'):
        stratified_split(np.array([0, 0, 1, 1]), 1.0)
    with pytest.raises(ValueError, match='class 1'):
        stratified_split(np.array([0, 0, 1]), 0.5)


def test_split_file(tmp_path):
    path, names = tmp_path / 'split.json', ['a/0', 'a/1', 'b/0']
    path.write_text(json.dumps(dict(bank=['b/0', 'a/0'], query=['a/1'])))
    bank, query = read_split(path, names)
    assert bank.tolist() == [2, 0] and query.tolist() == [1]
    for content, message in (
        ('{', 'expected JSON'),
        ('{"bank": ["a/0"]}', 'query'),
        ('{"bank": ["a/9"], "query": ["a/0"]}', "first 'a/9'"),
        ('{"bank": ["a/0"], "query": ["a/0"]}', 'share no image'),
        ('{"bank": [], "query": ["a/0"]}', 'not empty'),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_split(path, names)
