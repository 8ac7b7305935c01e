"""Sharded checkpoints in one process: what several ranks write and read is in tests/engine."""

import os
import pickle
import runpy
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mssdf.checkpoints import CheckpointError, read_checkpoint
from mssdf.checkpoints.sharded_checkpoint import (
    INDEX,
    REST,
    is_complete,
    is_sharded_checkpoint,
    join,
    split,
)
from mssdf.checkpoints.training_state import read_training_state
from mssdf.engine.resume import find_resumable_checkpoint
from mssdf.utils.atomic_file import partial_folder, remove_partial_files

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'model_tools'
convert = runpy.run_path(str(TOOLS / 'convert_sharded.py'))['main']


def content() -> dict:
    """As MMEngine saves it: after two steps of AdamW."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        model(torch.randn(5, 3)).square().sum().backward()
        optimizer.step()
    history = HistoryBuffer()
    history.update(1.5)
    history.update(0.5)
    return dict(
        meta=dict(epoch=1, iter=2, seed=3, cfg='a = 1', dataset_meta=None),
        state_dict=OrderedDict((f'backbone.{k}', v) for k, v in model.state_dict().items()),
        message_hub=dict(log_scalars=OrderedDict(loss=history), runtime_info={'x': (1, 2)}),
        optimizer=optimizer.state_dict(),
        param_schedulers=[dict(last_step=2, _last_value=[np.float64(0.1)])],
    )


@pytest.fixture
def full(tmp_path) -> Path:
    torch.save(content(), tmp_path / 'full.pth')
    return tmp_path / 'full.pth'


@pytest.fixture
def sharded(full, tmp_path) -> Path:
    assert convert([str(full), str(tmp_path / 'sharded.pth')]) == 0
    return tmp_path / 'sharded.pth'


def same(first, second) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second) and first.dtype == second.dtype
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, HistoryBuffer):
        return all(map(np.array_equal, first.data, second.data))
    return bool(first == second)


def test_split_and_join():
    tree = {'a': {0: {'x': torch.ones(2), 'n': 3}, 'e': {}}, 'b': [torch.zeros(1)]}
    tensors, rest = split(tree)
    assert list(tensors) == ['a/#0/x']
    assert rest == {'a': {0: {'n': 3}, 'e': {}}, 'b': [torch.zeros(1)]}
    assert same(join(tensors, rest), tree)


def test_there_and_back_again(full, sharded, tmp_path, capsys):
    """Nothing is lost: the types of numbers, integer keys, the log."""
    assert (
        is_sharded_checkpoint(sharded) and is_complete(sharded) and not is_sharded_checkpoint(full)
    )
    assert convert([str(sharded), str(tmp_path / 'again.pth')]) == 0
    expected = torch.load(full, weights_only=False)
    found = torch.load(tmp_path / 'again.pth', weights_only=False)
    assert same(expected, found)
    assert same(expected, read_training_state(full))
    assert found['message_hub']['log_scalars']['loss'].mean() == 1.0
    # the order of the optimizer's numbers is that of its parameters
    assert list(found['optimizer']['state']) == list(expected['optimizer']['state'])
    assert same(read_checkpoint(sharded)['state_dict'], dict(expected['state_dict']))
    capsys.readouterr()
    assert convert([str(sharded), str(full)]) == 2
    assert 'expected a new path' in capsys.readouterr().err


@pytest.mark.parametrize('victim', ['.distcp', INDEX, REST])
@pytest.mark.parametrize('damage', ['cut', 'flip', 'remove'])
def test_damage_is_seen(full, sharded, victim, damage):
    path = next(path for path in sharded.iterdir() if path.name.endswith(victim))
    data = bytearray(path.read_bytes())
    if damage == 'remove':
        path.unlink()
    elif damage == 'cut':
        path.write_bytes(data[: len(data) // 2])
    else:
        weight = torch.load(full, weights_only=False)['state_dict']['backbone.0.weight'].numpy()
        mark = {INDEX: b'exp_avg', REST: b'a = 1'}.get(victim, weight.tobytes())
        place = data.index(mark)
        data[place : place + 4] = b'\xff' * 4
        path.write_bytes(data)
    assert not is_complete(sharded) or victim == INDEX
    if damage == 'remove' and victim != '.distcp':
        assert not is_sharded_checkpoint(sharded)
    if not (damage == 'flip' and victim == '.distcp'):  # which torch does not check
        with pytest.raises(CheckpointError):
            read_checkpoint(sharded)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('victim', [INDEX, REST, 'full'])
def test_code_is_refused(full, sharded, victim, tmp_path):
    mark = tmp_path / 'ran'
    if victim == INDEX:
        (sharded / INDEX).write_bytes(pickle.dumps(Evil(mark)))
    elif victim == REST:
        torch.save(dict(x=Evil(mark)), sharded / REST)
    else:
        torch.save(content() | dict(x=Evil(mark)), full)
    path = full if victim == 'full' else sharded
    for read in (read_checkpoint, read_training_state):
        with pytest.raises(
            CheckpointError, match='expected tensors, found code that loading would run'
        ):
            read(path)
    assert convert([str(path), str(tmp_path / 'out.pth')]) == 2
    assert not mark.exists() and not (tmp_path / 'out.pth').exists()


def test_getattr_finds_nothing_but_the_logs_methods(tmp_path):
    class Sneaky:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(x=Sneaky()), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError):
        read_training_state(tmp_path / 'x.pth')


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'iter_2.pth'

    def write(text: str, fail: bool = False) -> None:
        with partial_folder(path) as folder:
            (folder / 'part').write_text(text)
            if fail:
                raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write('one', fail=True)
    assert list(tmp_path.iterdir()) == []
    write('one')
    with pytest.raises(OSError, match='disk full'):
        write('two', fail=True)
    assert (path / 'part').read_text() == 'one'
    write('two')
    assert (path / 'part').read_text() == 'two'
    assert list(tmp_path.iterdir()) == [path]
    # killed while writing, and between the two moves that replace a folder
    (tmp_path / '.iter_4.pth.mssdf-partial').mkdir()
    path.rename(tmp_path / '.iter_2.pth.mssdf-replaced')
    assert len(remove_partial_files(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == [path] and (path / 'part').read_text() == 'two'


def test_resuming_finds_the_newest_that_is_whole(full, sharded, tmp_path):
    os.utime(full, (1, 1))
    assert find_resumable_checkpoint(tmp_path) == str(sharded)
    next(sharded.glob('*.distcp')).unlink()
    with pytest.warns(RuntimeWarning, match=r'sharded\.pth \(damaged\): going on from .*full\.pth'):
        assert find_resumable_checkpoint(tmp_path) == str(full)


@pytest.mark.parametrize('name', ['../other.distcp', '/etc/passwd', 'sub/part.distcp', '..'])
def test_parts_that_lie_elsewhere_are_not_read(sharded, name):
    metadata = pickle.loads((sharded / INDEX).read_bytes())
    for info in metadata.storage_data.values():
        info.relative_path = name
    (sharded / INDEX).write_bytes(pickle.dumps(metadata))
    with pytest.raises(CheckpointError, match=rf'{INDEX}: expected files beside it, found'):
        read_checkpoint(sharded)
    assert not is_complete(sharded)
