"""Two processes with half the batch each against one process with all of it (gloo, CPU)."""

import socket
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel

from mssdf.engine.process_group import leave_process_group
from mssdf.structures import MaskedBatch

from .tiny import ALL_LOSSES, drop, tiny_batch, tiny_model


def half(batch: MaskedBatch, rank: int) -> MaskedBatch:
    """The rank's half of a masked batch: every other window, with the masks they had."""
    batch = deepcopy(batch)
    for field in ('images', 'pixel_valid', 'patch_valid', 'masks'):
        tensors = getattr(batch, field)
        setattr(batch, field, {m: x[rank::2] for m, x in tensors.items()})
    batch.score, batch.noise = batch.score[rank::2], batch.noise[rank::2]
    return batch


def prepare(term: str, features: str):
    """The model and the whole, masked batch, the same in every process."""
    losses = ALL_LOSSES if term == 'all' else dict.fromkeys(ALL_LOSSES, 0.0) | {term: 1.0}
    settings: dict = {'pairwise.features': features, 'pairwise.max_rows': 20}
    if features == 'location':
        settings |= {'pairwise.features': 'encoder', 'pairwise.negatives': 'location'}
        settings |= {'pairwise.num_locations': 9, 'pairwise.projector': 16}
        settings |= {'pairwise.flat': dict(dsm=59.0)}  # of heights within 60 m: some count as flat
        settings |= {'data_preprocessor.mask_ratio': 0.25}
        settings |= {'modality_decoder.queries': 'hidden', 'fusion_decoder.filled': True}
    settings['teacher'] = dict(target_norm='batch', average_layers=2)
    model = tiny_model(losses=losses, monitor_interval=0, **settings)
    model.data_preprocessor.cross_modal_ratio = 0.2
    torch.manual_seed(3)
    data = drop(tiny_batch(4), 'dsm', [3])  # ranks have different numbers of pairs
    return model, model.data_preprocessor(data)['inputs']


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def worker(rank: int, port: int, folder: str, cases: list[tuple[str, str]]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    results = []
    for case in cases:
        model, batch = prepare(*case)
        wrapped = MMDistributedDataParallel(model, find_unused_parameters=False)
        losses = wrapped(half(batch, rank), None, mode='loss')
        losses['loss'].backward()
        loss = losses['loss'].detach().clone()
        dist.all_reduce(loss)
        results.append((loss / 2, gradients(model)))
    if rank == 0:
        torch.save(results, Path(folder) / 'results.pth')
    leave_process_group()


CASES = [(term, 'predicted') for term in ('rec', 'align', 'hsic', 'cls', 'pix', 'all')]
CASES += [('align', 'encoder'), ('all', 'encoder')]
CASES += [(term, 'location') for term in ('align', 'inst', 'disc', 'all')]


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp('ranks')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(worker, (port, str(folder), CASES), nprocs=2)
    return torch.load(folder / 'results.pth', weights_only=True)


@pytest.mark.parametrize('index', range(len(CASES)), ids=['-'.join(case) for case in CASES])
def test_ranks_give_the_loss_and_gradients_of_one_process(two_processes, index):
    model, batch = prepare(*CASES[index])
    loss = model.loss(batch)['loss']
    loss.backward()
    found_loss, found = two_processes[index]
    torch.testing.assert_close(found_loss, loss.detach(), atol=1e-5, rtol=1e-5)
    expected = gradients(model)
    assert found.keys() == expected.keys()
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-3
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-3, msg=name)
