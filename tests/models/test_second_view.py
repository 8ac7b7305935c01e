"""The second view of a batch: other masks or another part of the same windows."""

from copy import deepcopy

import pytest
import torch

from mssdf.distributed import Ranks
from mssdf.models import MaskingDataPreprocessor
from mssdf.models.data_preprocessors import masking_data_preprocessor
from mssdf.models.utils.crops import crop, crop_parameters, source_points
from mssdf.structures import MaskedBatch

from .tiny import MODALITIES, drop, tiny_batch

NAMES = ('rgb', 'dsm', 'ms')


def preprocessor(second_view: dict | None, target: str = 'dsm') -> MaskingDataPreprocessor:
    built = MaskingDataPreprocessor(
        MODALITIES, cross_modal=dict(target=target), second_view=second_view
    )
    built.cross_modal_ratio = 0.5
    return built


def run(built: MaskingDataPreprocessor, data: dict, seed: int = 3) -> MaskedBatch:
    built.seed_next_batch(seed)
    return built(deepcopy(data))['inputs']


@pytest.mark.parametrize('kind', ['masking', 'crop'])
def test_the_first_view_is_what_it_is_without_a_second(kind):
    data = drop(tiny_batch(4, NAMES), 'dsm', [1])
    alone, first = run(preprocessor(None), data), run(preprocessor(dict(kind=kind)), data)
    assert alone.second is None
    assert first.second is not None and first.second.second is None
    for name in NAMES:
        assert torch.equal(alone.masks[name], first.masks[name])
        assert torch.equal(alone.images[name], first.images[name])
    assert torch.equal(alone.noise, first.noise)


@pytest.mark.parametrize('target', ['dsm', 'random'])
def test_another_masking_of_the_same_windows(target):
    data = drop(tiny_batch(16, NAMES), 'dsm', [1])
    first = run(preprocessor(dict(kind='masking'), target), data)
    second = first.second
    assert second.images is first.images
    assert second.score is first.score
    assert not torch.equal(second.noise, first.noise)
    for name in NAMES:
        assert (second.masks[name] != first.masks[name]).any()
        assert not (~second.masks[name] & ~second.patch_valid[name]).any()
        visible = (~second.masks[name]).sum(dim=1)
        assert visible.max() <= second.num_visible[name]
        assert second.ragged[name] or (visible == second.num_visible[name]).all()


def test_a_part_is_cut_before_it_is_normalized():
    """Heights are relative to the part's median, whatever lies around it."""
    data = tiny_batch(8, NAMES)
    second = run(preprocessor(dict(kind='crop', scale=(0.4, 0.5))), data).second
    for window in range(8):
        assert second.images['dsm'][window].median().abs() < 1e-6

    # the same part, drawn again after the numbers of the first view
    drawn, generator = {}, torch.Generator()
    original = masking_data_preprocessor.crop_windows

    def spy(windows, *args):
        drawn['state'] = args[-1].generator.get_state()
        return original(windows, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masking_data_preprocessor, 'crop_windows', spy)
        second = run(preprocessor(dict(kind='crop', scale=(0.4, 0.5))), data).second
    generator.set_state(drawn['state'])
    points = source_points(
        crop_parameters(8, (64, 64), torch.device('cpu'), generator, (0.4, 0.5)), (64, 64)
    )
    rgb, _ = crop(data['inputs']['rgb'], None, points)
    torch.testing.assert_close(second.images['rgb'], (rgb - 110) / 50)
    heights, _ = crop(data['inputs']['dsm'], None, points)
    heights = heights - heights.flatten(1).median(dim=1).values[:, None, None, None]
    torch.testing.assert_close(second.images['dsm'], heights / 10, atol=1e-4, rtol=0)


def test_parts_of_windows_with_holes():
    data = drop(tiny_batch(6, NAMES), 'dsm', [1])
    data['valid']['dsm'][2, :, :32] = False
    data['inputs']['dsm'][2, :, :32] = -9999.0
    data['valid']['rgb'][3] = False
    second = run(preprocessor(dict(kind='crop')), data).second
    for name in NAMES:
        assert second.images[name].isfinite().all()
        assert (second.images[name] * ~second.pixel_valid[name] == 0).all()
        assert not (~second.masks[name] & ~second.patch_valid[name]).any()
        assert (~second.masks[name]).sum(dim=1).max() <= second.num_visible[name]
        assert second.ragged[name]
    assert second.images['dsm'].abs().max() < 10  # nothing of -9999
    assert not second.present('dsm')[1] and not second.present('rgb')[3]
    complete = run(preprocessor(dict(kind='crop')), tiny_batch(2, NAMES)).second
    assert not any(complete.ragged.values())
    assert complete.num_visible == dict(rgb=4, dsm=2, ms=4)


@pytest.mark.parametrize('kind', ['masking', 'crop'])
def test_views_do_not_depend_on_the_number_of_ranks(monkeypatch, kind):
    data = drop(tiny_batch(6, NAMES), 'dsm', [4])

    def masked(rank: int, world_size: int) -> MaskedBatch:
        ranks = Ranks(rank, world_size)
        monkeypatch.setattr(masking_data_preprocessor, 'rank_and_world_size', lambda: ranks)
        torch.manual_seed(rank)  # of no account
        part = {
            key: {m: tensor[rank::world_size] for m, tensor in data[key].items()}
            for key in ('inputs', 'valid')
        }
        return run(preprocessor(dict(kind=kind), 'random'), part).second

    whole = masked(0, 1)
    for rank in range(2):
        half = masked(rank, 2)
        assert torch.equal(half.noise, whole.noise[rank::2])
        for name in NAMES:
            assert torch.equal(half.masks[name], whole.masks[name][rank::2])
            torch.testing.assert_close(half.images[name], whole.images[name][rank::2])


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(kind='zoom'), "second_view.kind: .* found 'zoom'"),
        (dict(scale=(0.0, 1.0)), 'second_view.scale'),
        (dict(scale=(0.8, 0.5)), 'second_view.scale'),
        (dict(size=3), "second_view: .* found .'size'."),
    ],
)
def test_wrong_settings_name_the_key(wrong, message):
    with pytest.raises(ValueError, match=message):
        preprocessor(wrong)
