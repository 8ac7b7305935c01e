"""Random numbers for windows, whatever rank has them."""

import pytest
import torch

from mssdf.distributed import Ranks
from mssdf.models.data_preprocessors import masking_data_preprocessor
from mssdf.models.utils.draws import BatchGenerator, exponential, uniform

from .tiny import drop, tiny_batch, tiny_model

CPU = torch.device('cpu')


@pytest.mark.parametrize('draw', [uniform, exponential])
@pytest.mark.parametrize('world_size', [2, 4])
def test_a_window_has_the_same_numbers_on_any_number_of_ranks(draw, world_size):
    def batch(rank: int, size: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(7)
        return draw((8 // size, 5), CPU, BatchGenerator(generator, Ranks(rank, size)))

    whole = batch(0, 1)
    parts = torch.stack([batch(rank, world_size) for rank in range(world_size)], dim=1)
    assert torch.equal(parts.flatten(0, 1), whole)
    assert torch.equal(whole, draw((8, 5), CPU, torch.Generator().manual_seed(7)))
    assert whole.unique().numel() == whole.numel()


def test_distributions():
    numbers = uniform((100_000,), CPU, torch.Generator().manual_seed(0))
    assert 0 <= numbers.min() and numbers.max() < 1
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.005)
    numbers = exponential((100_000,), CPU, torch.Generator().manual_seed(0))
    assert numbers.mean().item() == pytest.approx(1, abs=0.02)
    assert numbers.var().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize('target', ['dsm', 'random'])
@pytest.mark.parametrize('complementary', [False, True])
def test_masks_of_a_batch_dealt_to_two_ranks(monkeypatch, target, complementary):
    """Every draw of the data preprocessor: masks, target modality, extra and shown patches."""
    preprocessor = tiny_model(modalities=('rgb', 'dsm', 'ms')).data_preprocessor
    preprocessor.target, preprocessor.complementary = target, complementary
    preprocessor.cross_modal_ratio = 0.5
    data = drop(tiny_batch(6, ('rgb', 'dsm', 'ms')), 'dsm', [4])

    def masked(rank: int, world_size: int):
        ranks = Ranks(rank, world_size)
        monkeypatch.setattr(masking_data_preprocessor, 'rank_and_world_size', lambda: ranks)
        torch.manual_seed(rank)  # of no account
        preprocessor.seed_next_batch(11)
        part = {
            key: {m: tensor[rank::world_size] for m, tensor in data[key].items()}
            for key in ('inputs', 'valid')
        }
        return preprocessor(part)['inputs']

    whole = masked(0, 1)
    for rank in range(2):
        half = masked(rank, 2)
        assert torch.equal(half.noise, whole.noise[rank::2])
        for name, mask in whole.masks.items():
            assert torch.equal(half.masks[name], mask[rank::2])


def test_only_the_next_batch_is_seeded():
    preprocessor = tiny_model().data_preprocessor
    masks = []
    for seeded in (True, False, True):
        if seeded:
            preprocessor.seed_next_batch(5)
        masks.append(preprocessor(tiny_batch())['inputs'].masks['rgb'])
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], masks[1])
