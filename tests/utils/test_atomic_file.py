import os

import pytest
from mmengine.fileio import get_file_backend

from mssdf.utils.atomic_file import BACKEND, remove_partial_files, write_atomically


def test_replaces_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'file'
    write_atomically(path, b'old')
    seen = []
    replace = os.replace

    def look_then_replace(source, target):
        seen.append((path.read_bytes(), os.path.dirname(source), open(source, 'rb').read()))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', look_then_replace)
    write_atomically(path, b'new')
    assert seen == [(b'old', str(path.parent), b'new')]
    assert path.read_bytes() == b'new'
    assert os.listdir(path.parent) == ['file']


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.write_bytes(b'old')

    def full(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space'):
        write_atomically(path, b'new')
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_removes_only_its_own_partial_files(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'replace', lambda *_: os._exit)  # as if killed: nothing is moved
    write_atomically(tmp_path / 'a.pth', b'half')
    (tmp_path / '.hidden').touch()
    (tmp_path / 'b.pth').touch()
    assert [path.name[:6] for path in remove_partial_files(tmp_path)] == ['.a.pth']
    assert sorted(os.listdir(tmp_path)) == ['.hidden', 'b.pth']


def test_is_a_backend_of_mmengine(tmp_path):
    backend = get_file_backend(str(tmp_path), backend_args=dict(backend=BACKEND))
    backend.put(memoryview(b'bytes'), tmp_path / 'x')
    backend.put_text('käse', tmp_path / 'y')
    assert backend.get(tmp_path / 'x') == b'bytes'
    assert backend.get_text(tmp_path / 'y') == 'käse'
