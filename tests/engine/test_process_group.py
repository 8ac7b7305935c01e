"""Ranks that leave while a model still refers to the process group."""

import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from mssdf.engine.process_group import leave_process_group

TIMES = 40  # torch's own end stands still after 2 to 6


def work(rank: int, file: str) -> None:
    dist.init_process_group('gloo', f'file://{file}', rank=rank, world_size=2)
    model = DistributedDataParallel(torch.nn.Linear(3, 3))
    model(torch.ones(1, 3)).sum().backward()
    found = torch.ones(1000)
    dist.all_reduce(found)
    assert found.unique().tolist() == [2]
    leave_process_group()
    assert not dist.is_initialized()


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    for index in range(TIMES):
        work(rank, f'{folder}/{index}')


def test_a_model_that_lives_longer_than_the_group_is_freed(tmp_path):
    started = mp.spawn(worker, (str(tmp_path),), nprocs=2, join=False)
    until = time.monotonic() + 120
    try:
        while not started.join(timeout=1):
            assert time.monotonic() < until, 'the ranks stand still'
    finally:
        for process in started.processes:
            process.kill()


def test_without_a_group_there_is_nothing_to_leave():
    assert not dist.is_initialized()
    leave_process_group()


def test_a_single_process_can_start_anew(tmp_path):
    for start in range(2):
        dist.init_process_group('gloo', f'file://{tmp_path}/{start}', rank=0, world_size=1)
        assert dist.is_initialized()
        leave_process_group()
    with pytest.raises(ValueError, match='not been initialized'):
        dist.barrier()
