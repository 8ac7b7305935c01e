import numpy as np
import pytest
import rasterio
import torch

from mssdf.contest.tiles import (
    Tiles,
    concatenate_tiles,
    load_tiles,
    read_tiles_of_folders,
    save_tiles,
)

MODALITIES = dict(
    rgb=dict(suffix='_dom.tif', bands=[1, 2, 3]), dsm=dict(suffix='_dsm.tif', bands=[1])
)


@pytest.fixture(scope='module')
def tiles(data_root) -> Tiles:
    return read_tiles_of_folders([str(data_root / 'autzen')], MODALITIES, 256, relative=['dsm'])


def test_tiles_are_the_blocks_of_the_rasters(tiles, data_root):
    folder = data_root / 'autzen' / 'patch'
    with (
        rasterio.open(folder / 'autzen_dom.tif') as dom,
        rasterio.open(folder / 'autzen_dsm.tif') as dsm,
    ):
        rgb, height, nodata = dom.read([1, 2, 3]), dsm.read(1), dsm.nodata
    rows, columns = (list(range(0, side - 255, 256)) for side in height.shape)
    rows, columns = (
        [*starts, side - 256] if side % 256 else starts
        for starts, side in zip((rows, columns), height.shape, strict=True)
    )
    assert len(tiles) == len(rows) * len(columns)
    for number, (row, column) in enumerate((r, c) for r in rows for c in columns):
        place = np.s_[row : row + 256, column : column + 256]
        np.testing.assert_array_equal(tiles.images['rgb'][number], rgb[(slice(None), *place)])
        values, known = height[place], height[place] != nodata
        np.testing.assert_array_equal(tiles.valid['dsm'][number, 0], known)
        expected = values[known] - np.median(values[known].astype(float))
        found = tiles.images['dsm'][number, 0].float().numpy()
        np.testing.assert_allclose(found[known], expected, rtol=1e-3, atol=1e-3)
    assert tiles.describe().startswith(f'{len(tiles)} tiles of 256 x 256 pixels from 1 scenes')


def test_statistics_are_those_of_numpy(tiles):
    valid = tiles.valid['rgb'].numpy()
    found = tiles.statistics('rgb')
    for band in range(3):
        values = tiles.images['rgb'][:, band : band + 1].numpy()[valid].astype(float)
        assert found['mean'][band] == pytest.approx(values.mean())
        assert found['std'][band] == pytest.approx(values.std())


def test_a_file_gives_back_what_it_was_made_from_and_nothing_else(tiles, tmp_path):
    path, source = tmp_path / 'tiles.npz', dict(roots=['a'], tile_size=256)
    assert load_tiles(path, source) is None
    save_tiles(tiles, path, source)
    loaded = load_tiles(path, source)
    assert loaded.scenes == tiles.scenes
    for name in ('rgb', 'dsm'):
        assert torch.equal(loaded.images[name], tiles.images[name])
        assert torch.equal(loaded.valid[name], tiles.valid[name])
    assert load_tiles(path, dict(source, tile_size=128)) is None
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_tiles_are_told_in_one_line(tiles, tmp_path):
    path = tmp_path / 'tiles.npz'
    save_tiles(tiles, path, {})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b'', whole[:2000] + b'\0' * 500 + whole[2500:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'tiles\.npz: expected tiles .* damaged'):
            load_tiles(path)


def test_orthophotos_alone_are_tiles_without_heights(data_root, tmp_path):
    folder = tmp_path / 'patch'
    folder.mkdir()
    (folder / 'a_dom.tif').symlink_to(data_root / 'autzen' / 'patch' / 'autzen_dom.tif')
    both = read_tiles_of_folders(
        [str(data_root / 'autzen'), str(tmp_path)],
        MODALITIES,
        512,
        relative=['dsm'],
    )
    half = len(both) // 2
    assert both.present('rgb').all()
    assert both.present('dsm')[:half].any() and not both.present('dsm')[half:].any()
    assert torch.equal(both.images['rgb'][:half], both.images['rgb'][half:])


def test_other_types_are_not_put_together(tiles):
    other = Tiles({n: i.float() for n, i in tiles.images.items()}, tiles.valid, tiles.scenes)
    with pytest.raises(ValueError, match="'rgb'.*uint8.*float32"):
        concatenate_tiles([tiles, other])
