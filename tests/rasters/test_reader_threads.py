"""Threads that read must not be ending while a data loader forks."""

import threading

from mssdf.datasets import MultiModalRasterDataset
from mssdf.rasters.reader_threads import reader_threads


def index(data_root) -> None:
    MultiModalRasterDataset(
        data_root=str(data_root / 'autzen'),
        index=dict(cache_dir=''),
        windows=dict(size=128),
        modalities=dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif')),
    ).full_init()


def test_indexing_leaves_its_threads_alive(data_root):
    index(data_root)
    readers = {t for t in threading.enumerate() if t.name.startswith('mssdf-reader')}
    assert readers
    index(data_root)
    assert readers <= set(threading.enumerate())  # none has ended, and so none is ending


def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    here = reader_threads()
    assert reader_threads() is here
    monkeypatch.setattr('mssdf.rasters.reader_threads.os.getpid', lambda: -1)
    forked = reader_threads()
    assert forked is not here
    forked.shutdown()
