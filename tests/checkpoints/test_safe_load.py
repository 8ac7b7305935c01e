"""Reading: weights from every layout, and nothing in a file is run."""

import argparse
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from mssdf.checkpoints import CheckpointError, read_checkpoint, read_state_dict
from mssdf.checkpoints.safe_load import Inert

WEIGHTS = {'backbone.x': torch.arange(6.0).reshape(2, 3)}


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __call__(self):
        raise NotImplementedError  # pickle asks that a function can be called

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('trap_in', ['meta', 'state_dict', 'nested'])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, trap_in, legacy):
    trap, path = tmp_path / 'trap', tmp_path / 'bad.pth'
    bad = Calls(os.mkdir, str(trap))
    content = dict(state_dict=dict(WEIGHTS))
    if trap_in == 'nested':  # behind a function that is let through as an inert object
        content['meta'] = Calls(getattr, bad, '__class__')
    elif trap_in == 'meta':
        content['meta'] = bad
    else:
        content['state_dict']['backbone.y'] = bad
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        CheckpointError, match=r'bad\.pth: expected tensors, found code that .*mkdir'
    ):
        read_state_dict(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)  # the trap is a real one
    assert trap.exists()


def test_letting_getattr_through_opens_no_door(tmp_path):
    """MMEngine's buffers need it: what it would return is inert and cannot be called."""
    trap, path = tmp_path / 'trap', tmp_path / 'bad.pth'
    method = Calls(getattr, trap, 'mkdir')
    torch.save(dict(state_dict=WEIGHTS, meta=method), path)
    assert isinstance(read_checkpoint(path)['meta'], Inert)
    torch.save(dict(state_dict=WEIGHTS, meta=Calls(method)), path)
    with pytest.raises(
        CheckpointError, match='expected tensors, found code that loading would run'
    ):
        read_checkpoint(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)  # the trap is a real one
    assert trap.exists()


def test_beside_the_weights_everything_is_inert(tmp_path):
    """The command line that MAE's code saves, NumPy's objects."""
    content = dict(
        model=WEIGHTS,
        args=argparse.Namespace(data_path=Path('/data'), lr=1e-3),
        epoch=3,
        score=np.float64(0.5),
        array=np.arange(3),
        state=np.random.get_state(),
        python=random.getstate(),
    )
    torch.save(content, tmp_path / 'mae.pth')
    found = read_checkpoint(tmp_path / 'mae.pth')
    assert found['epoch'] == 3
    assert found['python'] == content['python']
    for key in ('args', 'score', 'array'):
        assert isinstance(found[key], Inert)
    assert torch.equal(read_state_dict(tmp_path / 'mae.pth')['backbone.x'], WEIGHTS['backbone.x'])


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('key', ['state_dict', 'model', None])
def test_weights_are_found_wherever_they_lie(tmp_path, key, legacy):
    weights = {f'module.{name}': value for name, value in WEIGHTS.items()}
    content = {key: weights} if key else weights
    torch.save(content, tmp_path / 'w.pth', _use_new_zipfile_serialization=not legacy)
    found = read_state_dict(tmp_path / 'w.pth')
    assert list(found) == ['backbone.x']
    assert torch.equal(found['backbone.x'], WEIGHTS['backbone.x'])


@pytest.mark.parametrize('legacy', [False, True])
def test_torn_files_name_themselves(tmp_path, legacy):
    path = tmp_path / 'epoch_3.pth'
    torch.save(dict(state_dict=WEIGHTS), path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    others = [b'junk', b'PK', b'{}', bytes(100)]
    lengths = (0, 1, 10, 100, len(whole) // 2, len(whole) - 10)
    for content in [whole[:length] for length in lengths] + others:
        path.write_bytes(content)
        with pytest.raises(
            CheckpointError, match=r'epoch_3\.pth: expected .*, found (code|a damaged)'
        ):
            read_state_dict(path)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_damaged_files_give_no_other_error(tmp_path):
    """Bytes of the pickle changed at random: loaded, or refused by name."""
    path = tmp_path / 'damaged.pth'
    torch.save(dict(state_dict=WEIGHTS), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(str(path))
    assert refused > 100


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(state_dict={}), 'expected tensors .* found nothing'),
        (
            dict(state_dict=dict(WEIGHTS, lr=0.1)),
            r"expected tensors .* found \['lr'\] that are none",
        ),
        (dict(epoch=3), r"expected tensors .* found \['epoch'\] that are none"),
        ([1, 2], 'expected a dictionary, found a list'),
        (torch.zeros(2), 'expected a dictionary, found a Tensor'),
    ],
)
def test_wrong_content_is_told(tmp_path, content, message):
    torch.save(content, tmp_path / 'wrong.pth')
    with pytest.raises(CheckpointError, match=rf'wrong\.pth: {message}'):
        read_state_dict(tmp_path / 'wrong.pth')


def test_missing_and_foreign_files_name_themselves(tmp_path):
    with pytest.raises(CheckpointError, match=r'nowhere\.pth: expected a checkpoint file'):
        read_state_dict(tmp_path / 'nowhere.pth')
    with pytest.raises(CheckpointError, match='expected a checkpoint file, found none'):
        read_state_dict(tmp_path)
    (tmp_path / 'notes.txt').write_text('no checkpoint')
    with pytest.raises(
        CheckpointError, match=r'notes\.txt: expected a checkpoint.*, found a damaged'
    ):
        read_state_dict(tmp_path / 'notes.txt')
