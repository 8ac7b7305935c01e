"""Exchange between two gloo processes, against the same by hand."""

import socket
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mssdf.distributed import (
    alone,
    from_main_process,
    gather_from_ranks,
    gather_windows,
    gather_windows_with_gradient,
    main_process_first,
    max_over_ranks,
    sum_over_ranks,
    sum_with_gradient,
)
from mssdf.engine.process_group import leave_process_group

WEIGHTS = torch.arange(1.0, 9.0).view(4, 2)  # of the loss of rank 0; twice as large on rank 1


def batch() -> torch.Tensor:
    return torch.arange(8.0).view(4, 2) ** 2


def goes_first(rank: int, folder: Path) -> bool:
    """Rank 1 finds all that rank 0 writes inside, also where rank 0 fails."""
    with main_process_first():
        if rank == 0:
            (folder / 'cache').write_text('')
        there = (folder / 'cache').exists()
    try:
        with main_process_first():
            raise ValueError
    except ValueError:
        return there


def exchange(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    waits = timedelta(seconds=60)
    address = f'tcp://127.0.0.1:{port}'
    dist.init_process_group('gloo', address, rank=rank, world_size=2, timeout=waits)
    mine = batch()[rank::2].clone().requires_grad_()
    whole = gather_windows_with_gradient(mine)
    (whole * WEIGHTS * (rank + 1)).sum().backward()
    summed = mine.detach().clone().requires_grad_()
    total = sum_with_gradient(summed)
    (total * (rank + 1)).sum().backward()
    given = mine.detach().clone()
    with alone():
        by_itself = gather_windows(given)
    found = dict(
        stacked=gather_from_ranks(given),
        windows=gather_windows(given),
        with_gradient=whole.detach(),
        gradient=mine.grad,
        total=total.detach(),
        total_gradient=summed.grad,
        sum=sum_over_ranks(given),
        given=given,
        by_itself=by_itself,
        largest=max_over_ranks(3 - rank),
        object=from_main_process(f'of rank {rank}'),
        first=goes_first(rank, Path(folder)),
    )
    torch.save(found, Path(folder) / f'{rank}.pth')
    leave_process_group()


@pytest.fixture(scope='module')
def found(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp('exchange')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(exchange, (port, str(folder)), nprocs=2)
    return [torch.load(folder / f'{rank}.pth', weights_only=True) for rank in range(2)]


@pytest.mark.parametrize('rank', [0, 1])
def test_what_two_ranks_exchange(found, rank):
    whole, mine, own = batch(), batch()[rank::2], found[rank]
    assert torch.equal(own['stacked'], torch.stack([whole[0::2], whole[1::2]]))
    assert torch.equal(own['windows'], whole)
    assert torch.equal(own['with_gradient'], whole)
    assert torch.equal(own['gradient'], 3 * WEIGHTS[rank::2])  # of both ranks' losses
    assert torch.equal(own['total'], whole[0::2] + whole[1::2])
    assert torch.equal(own['total_gradient'], torch.full((2, 2), 3.0))
    assert torch.equal(own['sum'], whole[0::2] + whole[1::2])
    assert torch.equal(own['given'], mine) and torch.equal(own['by_itself'], mine)
    assert own['largest'] == 3 and own['object'] == 'of rank 0' and own['first']


def test_one_process_keeps_what_it_has():
    values = batch().requires_grad_()
    for same in (gather_windows, gather_windows_with_gradient, sum_with_gradient, sum_over_ranks):
        assert torch.equal(same(values), values)
    assert torch.equal(gather_from_ranks(values), values[None])
    assert max_over_ranks(2) == 2 and from_main_process('mine') == 'mine'
    with main_process_first():
        pass
