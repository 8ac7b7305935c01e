"""Checkpoints of training whose records are not those of a run, refused in one line."""

from collections import OrderedDict

import pytest
import torch

from mssdf.checkpoints.safe_load import CheckpointError
from mssdf.engine.resume import read_resumable_meta

META = dict(epoch=1, iter=18, seed=3)
HUB = {key: OrderedDict() for key in ('log_scalars', 'runtime_info', 'resumed_keys')}
WHOLE = dict(
    meta=META, state_dict={}, message_hub=HUB, optimizer=dict(state={}), param_schedulers=[{}]
)


def save(folder, **changed):
    path = folder / 'iter_18.pth'
    torch.save({k: v for k, v in (WHOLE | changed).items() if v != 'gone'}, path)
    return path


def test_what_a_run_writes_is_taken(tmp_path):
    assert read_resumable_meta(save(tmp_path)) == META
    # as with save_optimizer=False and save_param_scheduler=False
    assert read_resumable_meta(save(tmp_path, optimizer='gone', param_schedulers='gone')) == META
    assert read_resumable_meta(save(tmp_path, meta=META | dict(seed=None)))['iter'] == 18


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(meta='gone'), 'meta.epoch: expected an integer from 0'),
        (dict(meta=META | dict(iter='x')), "meta.iter: expected an integer .*found 'x'"),
        (dict(meta=META | dict(iter=-5)), 'meta.iter: .*found -5'),
        (dict(meta=META | dict(epoch=None)), 'meta.epoch: .*found None'),
        (dict(meta=META | dict(seed='abc')), "meta.seed: expected .*4294967295, found 'abc'"),
        (dict(meta=META | dict(seed=-1)), 'meta.seed: .*found -1'),
        (dict(message_hub='gone'), 'message_hub: expected dictionaries .*found no log_scalars'),
        (dict(message_hub='x'), 'message_hub: expected a dictionary, found a str'),
        (dict(message_hub=HUB | dict(runtime_info=3)), 'message_hub: .*found no runtime_info'),
        (dict(optimizer=None), 'optimizer: expected a dictionary, found a NoneType'),
        (dict(param_schedulers=3), 'param_schedulers: expected a list or dictionary, found a int'),
        (dict(state_dict=[1]), 'state_dict: expected a dictionary, found a list'),
    ],
)
def test_anything_else_is_one_line_with_file_and_key(changed, message, tmp_path):
    path = save(tmp_path, **changed)
    with pytest.raises(CheckpointError, match=message) as said:
        read_resumable_meta(path)
    assert str(said.value).startswith(f'{path}: ') and '\n' not in str(said.value)
