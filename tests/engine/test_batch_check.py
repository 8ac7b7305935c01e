"""Batches that a model cannot take: one line with the key before training or testing."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mssdf.engine.batch_check import (
    check_sizes,
    check_smallest_batch,
    norms_of_single_values,
    smallest_batch,
)
from mssdf.engine.data_check import DataCheckError


def loader(count, size, sampler=DefaultSampler, **settings):
    data = TensorDataset(torch.zeros(count))
    return DataLoader(data, batch_size=size, sampler=sampler(data, shuffle=False), **settings)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (loader(9, 4), 1),
        (loader(8, 4), 4),
        (loader(3, 4), 3),
        (loader(9, 4, drop_last=True), 4),
        (loader(9, 4, InfiniteSampler), 4),
        (loader(9, 1, InfiniteSampler), 1),
    ],
)
def test_the_smallest_batch(given, expected):
    assert smallest_batch(given) == expected


def pyramid(norm=nn.BatchNorm2d, scale=1):
    """A branch of mmseg's pyramid pooling."""
    conv = nn.Sequential(nn.Conv2d(3, 4, 1), norm(4))
    return nn.ModuleDict(
        dict(decode_head=nn.Sequential(nn.AdaptiveAvgPool2d(scale), conv, nn.ReLU()))
    )


def classifier(norm=nn.BatchNorm1d):
    return nn.ModuleDict(dict(neck=nn.Sequential(norm(3)), head=nn.Linear(3, 2)))


@pytest.mark.parametrize('model', [pyramid(), pyramid(nn.SyncBatchNorm), classifier()])
def test_a_batch_of_one(model):
    inputs = torch.randn(1, 3, 8, 8) if 'decode_head' in model else torch.randn(1, 3)
    with pytest.raises(ValueError, match='more than 1 value per channel'):  # as PyTorch says
        (model['decode_head'] if 'decode_head' in model else model['neck'])(inputs)
    with pytest.raises(DataCheckError, match=r'^train_dataloader\.batch_size: expected 2 or more'):
        check_smallest_batch(loader(9, 1), model)
    with pytest.raises(DataCheckError, match=r'^train_dataloader\.drop_last: .*9 samples in .* 4$'):
        check_smallest_batch(loader(9, 4), model)
    check_smallest_batch(loader(9, 4, drop_last=True), model)
    check_smallest_batch(loader(9, 4, InfiniteSampler), model)


@pytest.mark.parametrize(
    'model', [pyramid(scale=2), pyramid(nn.InstanceNorm2d), classifier(nn.LayerNorm)]
)
def test_norms_that_take_one(model):
    assert list(norms_of_single_values(model)) == []
    check_smallest_batch(loader(9, 1), model)


class Images:
    """Images on disk, as a pipeline delivers them."""

    def __init__(self, folder, *sizes, resized=None):
        self.resized = resized
        self.paths = [str(folder / f'{number}.png') for number in range(len(sizes))]
        for path, size in zip(self.paths, sizes, strict=True):
            cv2.imwrite(path, np.zeros((*size, 3), np.uint8))

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return dict(img_path=self.paths[index])

    def __getitem__(self, index):
        image = cv2.imread(self.paths[index])
        if self.resized:
            image = cv2.resize(image, self.resized)
        return dict(inputs=torch.from_numpy(image).permute(2, 0, 1))


def test_sizes_of_images(tmp_path):
    model = SimpleNamespace(module=SimpleNamespace(decode_head=1))

    def check(size, *sizes, resized=None, model=model):
        images = Images(tmp_path, *sizes, resized=resized)
        check_sizes('test_dataloader', SimpleNamespace(batch_size=size, dataset=images), model)

    rest = [(8, 16)] * 20
    with pytest.raises(DataCheckError) as said:
        check(2, *rest, (16, 8), *rest)
    assert str(said.value).startswith('test_dataloader.batch_size: expected 1')
    assert '0.png 8 x 16' in str(said.value) and '20.png 16 x 8' in str(said.value)
    check(1, *rest, (16, 8))
    check(2, *rest)
    check(2, *rest, (16, 8), resized=(8, 8))
    check(2, *rest, (16, 8), model=SimpleNamespace(head=1))  # pads
