"""Index files of shards that ask for more than our shards."""

import json
import pickle
import shutil

import numpy as np
import pytest

from mssdf.datasets import ShardDataset
from mssdf.datasets.shards import write_index, write_shard
from mssdf.datasets.shards.sample_format import BrokenSampleError, decode_sample, encode_sample

pytest.importorskip('litdata')

MODALITIES = dict(rgb=dict(suffix='_dom.tif'))


def sample(number=0):
    return dict(
        images=dict(rgb=np.full((3, 16, 16), number, np.uint8)),
        valid={},
        scene='a',
        window=(0, 0, 16, 16),
        crs='EPSG:32610',
        transform=(1, 0, 0, 0, -1, 0),
        files=dict(rgb='a.tif'),
    )


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'data/shards'
    infos = [
        write_shard(folder / f'chunk-{name}.bin', [sample(i) for i in range(3)]) for name in 'ab'
    ]
    write_index(folder, infos, modalities=dict(rgb=dict(bands=3, dtype='uint8')))
    return tmp_path / 'data'


def change(root, name, edit):
    path = root / 'shards' / name
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), 'w'))


def test_pickled_samples_are_not_unpickled(root, tmp_path):
    target = tmp_path / 'was_run'
    blob = pickle.dumps(Hostile(target))
    # LitData's chunk: number of samples, offsets; a sample: sizes of its items, the items
    item = np.uint32(len(blob)).tobytes() + blob
    offsets = 4 + 16 + len(item) * np.arange(4)
    chunk = np.array([3, *offsets], np.uint32).tobytes() + item * 3
    for name in 'ab':
        (root / f'shards/chunk-{name}.bin').write_bytes(chunk)

    def sizes(content):
        for shard in content.get('shards', ()):
            shard['bytes'] = len(chunk)
        for shard in content.get('chunks', ()):
            shard['chunk_bytes'] = len(chunk)

    change(root, 'mssdf_shards.json', sizes)
    change(root, 'index.json', sizes)
    change(root, 'index.json', lambda content: content['config'].update(data_format=['pickle']))
    with pytest.raises(ValueError, match=r"index\.json: config\.data_format: expected \['bytes'\]"):
        ShardDataset(data_root=root, modalities=MODALITIES).read_window(0)
    assert not target.exists()

    # LitData itself would have run it
    import litdata

    litdata.StreamingDataset(str(root / 'shards'))[0]
    assert target.exists()


def of_config(**values):
    return lambda content: content['config'].update(values)


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (of_config(data_format=['bytes', 'pickle']), 'data_format'),
        (of_config(data_format='bytes'), 'data_format'),
        (of_config(compression='zstd'), 'compression'),
        (of_config(compression_level='sample'), 'compression_level'),
        (of_config(encryption=dict(algorithm='fernet')), 'encryption'),
        (of_config(item_loader='TokensLoader'), 'item_loader'),
        (of_config(data_spec='[1, {"type": "os.system", "context": 1}]'), 'data_spec'),
        (of_config(data_spec='{'), 'an index of LitData'),
        (
            lambda content: content.update(updated_at='../../elsewhere'),
            "updated_at: expected 'a hash'",
        ),
        (lambda content: content.pop('updated_at'), 'updated_at'),
        (lambda content: content.update(config=None), 'an index of LitData'),
        (lambda content: content.update(chunks=[]), 'chunks: expected .2 chunks'),
        (lambda content: content['chunks'][0].update(filename='../a.bin'), 'chunks: expected'),
        (lambda content: content['chunks'][0].update(chunk_size=7), 'chunks: expected'),
        (lambda content: content['chunks'].reverse(), 'chunks: expected'),
    ],
)
def test_another_index_of_litdata_is_refused_by_its_key(root, edit, message):
    change(root, 'index.json', edit)
    with pytest.raises(ValueError, match=rf'index\.json: .*{message}'):
        ShardDataset(data_root=root, modalities=MODALITIES)


@pytest.mark.parametrize(
    'name', ['../chunk-a.bin', '/etc/passwd', '..', '.hidden', 'c:\\a.bin', 'sub/a.bin', 7, None]
)
def test_shards_that_lie_elsewhere_are_refused(root, name):
    change(root, 'mssdf_shards.json', lambda content: content['shards'][0].update(file=name))
    with pytest.raises(ValueError, match=r'mssdf_shards\.json: .*shards beside the index'):
        ShardDataset(data_root=root, modalities=MODALITIES)


def test_an_index_changed_after_the_start_is_refused_too(root):
    dataset = ShardDataset(
        data_root=root, modalities=MODALITIES, reading=dict(max_failed_share=1.0)
    )
    change(root, 'index.json', lambda content: content['config'].update(data_format=['pickle']))
    assert dataset.read_window(0) is None
    assert dataset._failures.failed == [str(root / 'shards/chunk-a.bin')]


def test_no_index_of_litdata(root):
    (root / 'shards/index.json').unlink()
    (root / 'shards/0.index.json').write_text('{}')
    with pytest.raises(FileNotFoundError, match=r'index\.json: expected an index of shards'):
        ShardDataset(data_root=root, modalities=MODALITIES)


@pytest.mark.parametrize(
    'edit',
    [
        lambda header: header['arrays']['rgb'].update(dtype='object'),
        lambda header: header['arrays']['rgb'].update(dtype='U4'),
        lambda header: header['arrays']['rgb'].update(bands=0),
        lambda header: header.update(window=[0, 0, 0, 10**9]),
    ],
)
def test_samples_of_other_types_and_sizes(edit):
    import struct
    import zlib

    data = encode_sample(sample())
    length = struct.unpack_from('<I', data, 8)[0]
    header = json.loads(data[16 : 16 + length])
    edit(header)
    text = json.dumps(header).encode()
    checked = struct.pack('<II', len(text), 0) + text + data[16 + length :]
    with pytest.raises(BrokenSampleError, match='expected bands of one of'):
        decode_sample(struct.pack('<4sI', b'MSD1', zlib.crc32(checked)) + checked)


def test_what_was_written_is_read(root, tmp_path):
    moved = shutil.copytree(root, tmp_path / 'moved')
    dataset = ShardDataset(data_root=moved, modalities=MODALITIES)
    assert [int(dataset.read_window(i)['images']['rgb'].max()) for i in range(6)] == [0, 1, 2] * 2
