"""Draws of samples that follow from their place in training, whatever reads them."""

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset

from mssdf.datasets.samplers import ResumableSampler
from mssdf.engine.seeded_loader import SeededDataset, seeded_loader


class Noise(Dataset):
    """Index and a draw of each generator."""

    metainfo = dict(classes=['a'])

    def __getitem__(self, index):
        assert type(index) is int
        return index, random.random(), float(np.random.rand()), float(torch.rand(()))

    def __len__(self):
        return 8


def loader(sampler=DefaultSampler, seed=3, rank=0, workers=0, **settings):
    data = Noise()
    order = sampler(data, shuffle=True, seed=5)
    plain = DataLoader(data, batch_size=2, sampler=order, num_workers=workers, **settings)
    return seeded_loader(plain, seed, rank)


def draws(batches):
    """Rows of (index, Python's, NumPy's, PyTorch's draw)."""
    return torch.cat([torch.stack([part.double() for part in batch], dim=1) for batch in batches])


@pytest.mark.parametrize('workers', [1, 3])
def test_neither_workers_nor_states_of_the_process_matter(workers):
    torch.manual_seed(1)
    first = draws(loader())
    torch.manual_seed(2)
    random.seed(9)
    assert torch.equal(draws(loader(workers=workers)), first)
    for column in first.T:
        assert len(column.unique()) == 8


def test_epochs_seeds_and_ranks_draw_anew():
    first, later = loader(), loader()
    later.sampler.set_epoch(1)
    rows = [draws(first), draws(later), draws(loader(seed=4)), draws(loader(rank=1))]
    for one in range(4):
        for other in range(one):
            assert not torch.isin(rows[one][:, 1:], rows[other][:, 1:]).any()
    assert torch.equal(draws(later), rows[1])  # the epoch's again


def test_an_endless_sampler_goes_on_where_it_is_told():
    def read(first, count):
        endless = loader(InfiniteSampler)
        if first:
            endless.sampler.skip(2 * first)
        batches = iter(endless)
        return draws([next(batches) for _ in range(count)])

    whole = read(0, 9)
    assert torch.equal(whole[10:], read(5, 4))
    assert len(whole[:, 1].unique()) == 18  # the second time through the data, other draws
    assert len(whole[:, 0].unique()) == 8


def test_the_rest_of_the_process_draws_as_if_nothing_was_read():
    batches = iter(loader())
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    next(batches)
    assert states == (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )


def test_the_dataset_is_that_of_before():
    dataset = loader().dataset
    assert isinstance(dataset, SeededDataset) and dataset.metainfo == dict(classes=['a'])
    assert not hasattr(dataset, 'cat_ids')
    torch.manual_seed(0)
    first = dataset[3]
    assert dataset[3] != first  # of a plain index, drawn as ever


def test_batches_of_another_kind_keep_their_own():
    class Pairs(BatchSampler):
        """As mmdet's, which puts images of alike shapes together."""

    def make():
        data = Noise()
        pairs = Pairs(DefaultSampler(data, seed=5), 2, False)
        return seeded_loader(DataLoader(data, batch_sampler=pairs), 3, 0)

    assert type(make().batch_sampler) is Pairs
    assert torch.equal(draws(make()), draws(loader()))


def test_pretraining_seeds_by_itself():
    data = Noise()
    plain = DataLoader(data, batch_size=2, sampler=ResumableSampler(data, seed=1))
    assert seeded_loader(plain, 3, 0) is plain
