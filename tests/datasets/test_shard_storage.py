"""Shards in object storage, imitated by a server of this process: the bytes are those on disk."""

import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from option_groups import merged
from torch.utils.data import DataLoader

from mssdf.datasets import MultiModalRasterDataset, SampleIndex, ShardDataset, multimodal_collate
from mssdf.rasters.failures import UnreadableDataError

pytest.importorskip('litdata')

MODALITIES = dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif'))


class Bucket(ThreadingHTTPServer):
    """GET and HEAD of S3's API, by path, with ranges; it counts what it sends."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(('127.0.0.1', 0), Handler)
        self.folder = folder
        self.sent = {}  # file to list of (first, last) or None for the whole of it
        self.unsigned = 0
        self.failing = 0
        self.delay = 0.0
        self.busy = self.most = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_HEAD(self):
        self.reply(body=False)

    def do_GET(self):
        server = self.server
        with server.lock:
            server.busy += 1
            server.most = max(server.most, server.busy)
        time.sleep(server.delay)
        self.reply(body=True)
        with server.lock:
            server.busy -= 1

    def reply(self, body):
        server = self.server
        _, bucket, key = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).split('/', 2)
        path = server.folder / key
        server.unsigned += 'AWS4-HMAC-SHA256' not in self.headers.get('Authorization', '')
        if server.failing:
            server.failing -= 1
            return self.answer(503, b'<Error><Code>SlowDown</Code></Error>', body)
        if bucket != 'imagery' or not path.is_file():
            return self.answer(404, b'<Error><Code>NoSuchKey</Code></Error>', body)
        content, status, headers = path.read_bytes(), 200, {}
        span = self.headers.get('Range')
        if span:
            first, last = (int(v) for v in span.removeprefix('bytes=').split('-'))
            headers['Content-Range'] = f'bytes {first}-{last}/{len(content)}'
            content, status = content[first : last + 1], 206
        if body:
            server.sent.setdefault(path.name, []).append((first, last) if span else None)
        headers['Last-Modified'] = formatdate(path.stat().st_mtime, usegmt=True)
        return self.answer(status, content, body, headers)

    def answer(self, status, content, body, headers=()):
        self.send_response(status)
        for key, value in dict(headers, ETag='"0"').items():
            self.send_header(key, value)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope='module')
def local(data_root, write_shards, tmp_path_factory):
    rasters = MultiModalRasterDataset(
        data_root=data_root / 'autzen',
        modalities=MODALITIES,
        windows=dict(size=128),
        index=dict(cache_dir=''),
    )
    root = tmp_path_factory.mktemp('bucket')
    write_shards(rasters, root / 'train' / 'shards', per_shard=16)
    return root


@pytest.fixture
def bucket(local):
    server = Bucket(local)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def open_remote(bucket, tmp_path, **options):
    storage = dict(
        endpoint_url=f'http://127.0.0.1:{bucket.server_port}',
        aws_access_key_id='key',
        aws_secret_access_key='secret',
        region_name='eu-central-1',
    )
    settings = dict(
        data_root='s3://imagery/train',
        modalities=MODALITIES,
        index=dict(cache_dir=str(tmp_path / 'cache')),
        reading=dict(storage_options=storage),
        pipeline=[dict(type='mssdf.PackMultiModalInputs')],
    )
    return ShardDataset(**merged(settings, options))


def test_the_same_windows_by_ranges_of_bytes(local, bucket, tmp_path):
    near = ShardDataset(data_root=local / 'train', modalities=MODALITIES)
    far = open_remote(bucket, tmp_path)
    np.testing.assert_array_equal(far.chunk_sizes, near.chunk_sizes)
    some = np.random.default_rng(0).permutation(len(near))[:12].tolist()
    for index in some:
        one, other = far.read_window(index), near.read_window(index)
        for m in MODALITIES:
            np.testing.assert_array_equal(one['images'][m], other['images'][m])
            np.testing.assert_array_equal(one['valid'][m], other['valid'][m])
        assert one['window'] == other['window'] and one['crs'] == other['crs']
    assert bucket.unsigned == 0
    ranges = {n: spans for n, spans in bucket.sent.items() if n.endswith('.bin')}
    # Two requests a window, none for a whole shard, hardly a byte more than the windows'.
    assert sum(map(len, ranges.values())) == 2 * len(some)
    assert not any(span is None for spans in ranges.values() for span in spans)
    read = sum(last - first + 1 for spans in ranges.values() for first, last in spans)
    pixels = sum(image.nbytes for i in some for image in near.read_window(i)['images'].values())
    assert 0.9 * pixels < read < 1.25 * pixels  # windows without a DSM are less, headers more
    assert not list((tmp_path / 'cache').rglob('*.bin'))  # nothing but the index is kept


@pytest.mark.parametrize('context', ['fork', 'spawn'])
def test_workers(local, bucket, tmp_path, context):
    near = ShardDataset(
        data_root=local / 'train',
        modalities=MODALITIES,
        pipeline=[dict(type='mssdf.PackMultiModalInputs')],
    )
    far = open_remote(bucket, tmp_path)
    far[SampleIndex(0, 0)]
    loader = DataLoader(
        far,
        batch_size=3,
        sampler=[SampleIndex(i, 0) for i in range(12)],
        num_workers=2,
        collate_fn=multimodal_collate,
        multiprocessing_context=context,
        timeout=120,
    )
    found = torch.cat([batch['inputs']['rgb'] for batch in loader])
    expected = torch.stack([near[SampleIndex(i, 0)]['inputs']['rgb'] for i in range(12)])
    assert torch.equal(found, expected)


def test_a_batch_is_read_side_by_side(local, bucket, tmp_path):
    near = ShardDataset(
        data_root=local / 'train',
        modalities=MODALITIES,
        pipeline=[dict(type='mssdf.PackMultiModalInputs')],
    )
    far = open_remote(bucket, tmp_path, reading=dict(storage_threads=8))
    far[SampleIndex(0, 0)]
    assert bucket.most == 1
    bucket.delay = 0.05
    order = [SampleIndex(i, 0) for i in np.random.default_rng(1).permutation(len(near))[:16]]
    (found,) = DataLoader(far, batch_size=16, sampler=order, collate_fn=multimodal_collate)
    expected = multimodal_collate([near[index] for index in order])
    for m in MODALITIES:
        assert torch.equal(found['inputs'][m], expected['inputs'][m])
        assert torch.equal(found['valid'][m], expected['valid'][m])
    assert 4 <= bucket.most <= 8
    assert not far._ahead


def test_a_storage_that_fails_now_and_then(bucket, tmp_path):
    far = open_remote(bucket, tmp_path)
    expected = far.read_window(3)['images']['rgb']
    bucket.failing = 2  # fewer than it tries
    np.testing.assert_array_equal(far.read_window(3)['images']['rgb'], expected)
    assert far._failures.failed == []


def test_a_shard_that_is_not_there(local, bucket, tmp_path, write_shards):
    hidden = local / 'train' / 'shards' / '000016.bin'
    away = hidden.with_suffix('.away')
    hidden.rename(away)
    try:
        far = open_remote(bucket, tmp_path)
        with pytest.raises(UnreadableDataError, match=r's3://imagery/train/shards/000016\.bin'):
            far[SampleIndex(20, 0)]
    finally:
        away.rename(hidden)


def test_an_index_that_is_not_there(bucket, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r's3://imagery/none/shards/mssdf_shards\.json: expected an index'
    ):
        open_remote(bucket, tmp_path, data_root='s3://imagery/none')


def test_other_shards_under_the_same_address(data_root, write_shards, bucket, local, tmp_path):
    """A kept index is not used for what has been written again."""
    old = open_remote(bucket, tmp_path)
    old.read_window(0)
    rasters = MultiModalRasterDataset(
        data_root=data_root / 'autzen',
        modalities=MODALITIES,
        windows=dict(size=96),
        index=dict(cache_dir=''),
    )
    new = tmp_path / 'new'
    write_shards(rasters, new / 'train' / 'shards', per_shard=9)
    bucket.folder = new
    far = open_remote(bucket, tmp_path)
    near = ShardDataset(data_root=new / 'train', modalities=MODALITIES)
    assert len(far) == len(near) != len(old)
    for index in (0, 10, len(near) - 1):
        np.testing.assert_array_equal(
            far.read_window(index)['images']['rgb'], near.read_window(index)['images']['rgb']
        )
