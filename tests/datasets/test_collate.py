import pytest
import torch
from mmpretrain.structures import DataSample

from mssdf.datasets import multimodal_collate
from mssdf.registry import FUNCTIONS


def sample(number, size=4):
    data_sample = DataSample()
    data_sample.set_metainfo(dict(files=dict(rgb=f'{number}.tif')))
    return dict(
        inputs=dict(rgb=torch.full((3, size, size), number), dsm=torch.rand(1, size, size)),
        valid=dict(
            rgb=torch.ones(1, size, size, dtype=torch.bool),
            dsm=torch.zeros(1, size, size, dtype=torch.bool),
        ),
        data_samples=data_sample,
    )


def test_stacks_in_order():
    samples = [sample(i) for i in range(3)]
    batch = FUNCTIONS.get('mssdf.multimodal_collate')(samples)
    assert list(batch['inputs']) == ['rgb', 'dsm']
    for i, one in enumerate(samples):
        for part in ('inputs', 'valid'):
            for modality in one[part]:
                assert torch.equal(batch[part][modality][i], one[part][modality])
        assert batch['data_samples'][i] is one['data_samples']


def test_differing_samples_are_named():
    with pytest.raises(ValueError, match=r"1\.tif.*'rgb'.*\(3, 4, 4\).*0\.tif.*\(3, 5, 5\)"):
        multimodal_collate([sample(0), sample(1, size=5)])
