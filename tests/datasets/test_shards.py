"""Shards as files: what is written comes back, whole or not at all."""

import json
import os
import struct

import numpy as np
import pytest
import rasterio

from mssdf.datasets.shards import (
    BrokenSampleError,
    ShardIndex,
    ShardInfo,
    decode_sample,
    encode_sample,
    remove_partial_shards,
    verify_shard,
    write_index,
    write_shard,
)

pytest.importorskip('litdata')

SIZE = 96
MODALITIES = dict(rgb=dict(bands=3, dtype='uint8'), dsm=dict(bands=1, dtype='float32'))


def read_windows(data_root, count=6):
    """Windows of the Autzen pair by rasterio, as the tool hands them over; every third no DSM."""
    samples = []
    paths = {
        m: data_root / f'autzen/patch/autzen_{s}.tif' for m, s in dict(rgb='dom', dsm='dsm').items()
    }
    with rasterio.open(paths['rgb']) as rgb, rasterio.open(paths['dsm']) as dsm:
        assert (rgb.transform, rgb.shape) == (dsm.transform, dsm.shape)
        for i in range(count):
            window = rasterio.windows.Window(SIZE * i, 2 * SIZE, SIZE, SIZE)
            images, valid = dict(rgb=rgb.read(window=window)), {}
            if i % 3 != 2:
                heights = dsm.read(1, window=window)
                images['dsm'], valid['dsm'] = heights[None], heights != dsm.nodata
            samples.append(
                dict(
                    images=images,
                    valid=valid,
                    scene=f'autzen-{i}',
                    window=(2 * SIZE, SIZE * i, SIZE, SIZE),
                    crs=rgb.crs.to_wkt(),
                    transform=tuple(rasterio.windows.transform(window, rgb.transform))[:6],
                    files={m: str(paths[m]) for m in images},
                )
            )
    return samples


def check_same(found, sample):
    assert set(found['images']) == set(found['valid']) == set(sample['images'])
    for modality, image in sample['images'].items():
        valid = sample['valid'].get(modality, np.ones(image.shape[1:], dtype=bool))
        assert found['images'][modality].dtype == image.dtype
        np.testing.assert_array_equal(found['valid'][modality], valid)
        np.testing.assert_array_equal(found['images'][modality], np.where(valid, image, 0))
    for key in ('scene', 'window', 'crs', 'transform', 'files'):
        assert found[key] == sample[key], key


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_every_type_comes_back_bit_by_bit(dtype):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 256, size=7 * 5 * 4 * np.dtype(dtype).itemsize, dtype=np.uint8)
    image = bits.view(dtype).reshape(4, 7, 5)
    valid = rng.random((7, 5)) < 0.8
    if dtype == 'float32':
        valid &= np.isfinite(image).all(axis=0)
    sample = dict(
        images={'ms': image},
        valid={'ms': valid},
        scene='a',
        window=(3, 4, 7, 5),
        crs='EPSG:32632',
        transform=(0.1, 0.0, 1e6 / 3, 0.0, -0.1, 5e6 / 7),
        files={'ms': 'a.tif'},
    )
    found = decode_sample(encode_sample(sample))
    check_same(found, sample)
    kept = np.where(valid, image, image.dtype.type(0))
    assert found['images']['ms'].tobytes() == kept.tobytes()  # signs of zeros too


def test_the_bytes_are_those_of_the_documented_format():
    """Shards of earlier versions read the same: each array lies in its place, band after band."""
    image = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    valid = image[0] % 3 != 1
    data = encode_sample(
        dict(
            images=dict(ms=image),
            valid=dict(ms=valid),
            scene='a',
            window=(0, 0, 4, 5),
            crs='',
            transform=(1, 0, 0, 0, -1, 0),
            files={},
        )
    )
    (length,) = struct.unpack_from('<I', data, 8)
    entry = json.loads(data[16 : 16 + length])['arrays']['ms']
    blobs = data[16 + length :]
    first, size = entry['image']
    kept = [int(v) * int(valid[r, c]) for band in image for (r, c), v in np.ndenumerate(band)]
    assert list(struct.unpack_from('<60H', blobs, first)) == kept and size == 120
    first, size = entry['valid']
    bits = ''.join(f'{byte:08b}' for byte in blobs[first : first + size])
    assert [bit == '1' for bit in bits[:20]] == valid.ravel().tolist()


def test_any_changed_byte_is_seen(data_root):
    data = encode_sample(read_windows(data_root, 1)[0])
    rng = np.random.default_rng(1)
    for place in [0, 4, 8, 12, 16, 17, *rng.integers(len(data), size=200)]:
        changed = bytearray(data)
        changed[place] ^= int(rng.integers(1, 256))
        with pytest.raises(BrokenSampleError, match='expected'):
            decode_sample(bytes(changed))
    for length in (0, 5, 15, 16, 100, len(data) - 1):
        with pytest.raises(BrokenSampleError, match='expected'):
            decode_sample(data[:length])


def test_litdata_reads_it_by_itself(data_root, tmp_path):
    """Through nothing but LitData's own class; and by hand, as its format is described."""
    from litdata import StreamingDataset

    samples = read_windows(data_root, 8)
    infos = [write_shard(tmp_path / f'{n}.bin', samples[4 * n : 4 * n + 4]) for n in (0, 1)]
    write_index(tmp_path, infos[::-1], modalities=MODALITIES)  # their order, not the names'
    expected = samples[4:] + samples[:4]

    dataset = StreamingDataset(str(tmp_path))
    assert len(dataset) == 8
    for number, sample in enumerate(expected):
        check_same(decode_sample(dataset[number]), sample)

    content = (tmp_path / '1.bin').read_bytes()
    (count,) = struct.unpack_from('<I', content)
    offsets = struct.unpack_from('<5I', content, 4)
    assert (count, offsets[-1]) == (4, len(content))
    check_same(decode_sample(content[offsets[1] + 4 : offsets[2]]), samples[5])


def test_info_and_index(data_root, tmp_path):
    info = write_shard(tmp_path / 'a.bin', read_windows(data_root))
    assert (info.file, info.samples, info.window) == ('a.bin', 6, (SIZE, SIZE))
    assert {m: i.samples for m, i in info.modalities.items()} == dict(rgb=6, dsm=4)
    assert ShardInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    write_index(tmp_path, [info], modalities=MODALITIES)
    index = ShardIndex.parse((tmp_path / 'mssdf_shards.json').read_text(), 'here')
    assert index.samples == (6,) and index.sizes == (os.path.getsize(tmp_path / 'a.bin'),)
    assert index.bands == dict(rgb=3, dsm=1) and index.dtypes == dict(rgb='uint8', dsm='float32')
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'a.bin',
        'index.json',
        'mssdf_shards.json',
    ]


def test_the_same_samples_give_the_same_file(data_root, tmp_path):
    infos = [write_shard(tmp_path / f / 'a.bin', read_windows(data_root)) for f in 'xy']
    assert infos[0] == infos[1]


def test_what_fails_leaves_nothing(data_root, tmp_path):
    samples = read_windows(data_root)

    def failing():
        yield from samples[:3]
        raise OSError('the raster has gone')

    with pytest.raises(OSError, match='the raster has gone'):
        write_shard(tmp_path / 'a.bin', failing())
    with pytest.raises(ValueError, match='expected at least one sample'):
        write_shard(tmp_path / 'a.bin', [])
    assert not list(tmp_path.iterdir())
    before = write_shard(tmp_path / 'a.bin', samples[:2])
    with pytest.raises(OSError, match='the raster has gone'):
        write_shard(tmp_path / 'a.bin', failing())
    verify_shard(tmp_path / 'a.bin', before)


def test_leftovers_of_a_killed_process(data_root, tmp_path):
    info = write_shard(tmp_path / 'a.bin', read_windows(data_root, 2))
    left = tmp_path / '.b.bin.4711.shard-partial'
    left.mkdir()
    (left / 'chunk-0-0.bin').write_bytes(b'half')
    assert remove_partial_shards(tmp_path) == [left]
    assert not left.exists()
    verify_shard(tmp_path / 'a.bin', info)


def test_verify(data_root, tmp_path):
    path = tmp_path / 'a.bin'
    info = write_shard(path, read_windows(data_root, 2))
    verify_shard(path, info)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BrokenSampleError, match=r'a\.bin: expected SHA-256'):
        verify_shard(path, info)
    path.write_bytes(content[:-1])
    with pytest.raises(BrokenSampleError, match=r'a\.bin: expected \d+ bytes'):
        verify_shard(path, info)
    path.unlink()
    with pytest.raises(BrokenSampleError, match=r'a\.bin: expected a shard'):
        verify_shard(path, info)


def test_samples_that_do_not_fit(data_root, tmp_path):
    good = read_windows(data_root, 2)
    image = good[0]['images']['rgb']
    broken = np.full((1, SIZE, SIZE), np.nan, dtype=np.float32)
    plain = dict(good[0], valid={})
    for change, message in (
        (dict(images=dict(rgb=image[:2])), '3 band'),
        (dict(images=dict(rgb=image.astype(np.uint16))), 'uint8'),
        (dict(images=dict(rgb=image.astype(np.float64))), 'float32'),
        (dict(images=dict(rgb=image, dsm=broken), valid={}), 'finite'),
        (dict(images={}, valid={}), 'one image at least'),
        (dict(images=dict(rgb=image[:, :50]), window=(0, 0, 50, SIZE), valid={}), 'windows of'),
        (dict(valid=dict(rgb=np.ones((2, 2), dtype=bool))), 'validity'),
        (dict(transform=(1, 2)), 'transform of 6'),
    ):
        with pytest.raises(ValueError, match=message):
            write_shard(tmp_path / 'a.bin', [good[1], {**plain, **change}])
        assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError, match='crs'):
        write_shard(tmp_path / 'a.bin', [{k: v for k, v in good[0].items() if k != 'crs'}])


def test_shards_that_do_not_fit_an_index(data_root, tmp_path):
    samples = read_windows(data_root, 3)
    info = write_shard(tmp_path / 'a.bin', samples)
    for infos, modalities, message in (
        ([], MODALITIES, 'at least one shard'),
        ([info, info], MODALITIES, 'expected a shard of another name'),
        ([info], dict(rgb=MODALITIES['rgb']), "found modality 'dsm'"),
        ([info], dict(MODALITIES, rgb=dict(bands=4, dtype='uint8')), r'4 band\(s\) of uint8'),
        ([info], dict(MODALITIES, rgb=dict(bands=3)), r'modalities\.rgb'),
    ):
        with pytest.raises(ValueError, match=message):
            write_index(tmp_path, infos, modalities=modalities)
    (tmp_path / 'a.bin').write_bytes(b'four')
    with pytest.raises(ValueError, match='a shard of .* bytes, found 4 bytes$'):
        write_index(tmp_path, [info], modalities=MODALITIES)
    (tmp_path / 'a.bin').unlink()
    with pytest.raises(ValueError, match='a shard of .* bytes, found none'):
        write_index(tmp_path, [info], modalities=MODALITIES)
    with pytest.raises(ValueError, match='expected version 1, found 9'):
        ShardIndex.parse('{"version": 9}', 'here')
    assert not list(tmp_path.glob('*.json'))
