"""Normalization against NumPy, statistics files, wrong input."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch

from mssdf.errors import ConfigError
from mssdf.models import (
    MaskingDataPreprocessor,
    MultiModalDataPreprocessor,
    SingleModalityDataPreprocessor,
)

from .tiny import MODALITIES, drop, tiny_batch, tiny_model


def test_normalization_equals_numpy():
    data = tiny_batch(3, ('rgb', 'dsm', 'ms'))
    data['valid']['dsm'] = torch.rand(3, 1, 64, 64) > 0.2
    data['valid']['dsm'][2] = False
    found = MultiModalDataPreprocessor(MODALITIES)(data)['inputs']
    rgb = data['inputs']['rgb'].numpy().astype(np.float64)
    np.testing.assert_allclose(found['rgb'], (rgb - 110) / 50, rtol=1e-5)
    for sample in range(3):
        heights = data['inputs']['dsm'][sample].double().numpy()
        known = data['valid']['dsm'][sample].numpy()
        if known.any():  # the lower median, as torch has it
            ordered = np.sort(heights[known])
            heights = (heights - ordered[(len(ordered) - 1) // 2]) / 10
        expected = np.where(known, heights, 0)
        np.testing.assert_allclose(found['dsm'][sample], expected, atol=1e-5)


def test_absolute_elevation_carries_nothing():
    low, high = tiny_batch(2), tiny_batch(2)
    high['inputs']['dsm'] += 2048.0
    preprocessor = MultiModalDataPreprocessor({m: MODALITIES[m] for m in ('rgb', 'dsm')})
    torch.testing.assert_close(
        preprocessor(low)['inputs']['dsm'], preprocessor(high)['inputs']['dsm'], atol=1e-4, rtol=0
    )


def test_statistics_come_from_a_file_where_the_config_has_none(tmp_path):
    path = tmp_path / 'statistics.json'
    relative = dict(mean=[2.0], std=[7.0])
    path.write_text(
        json.dumps(
            dict(
                rgb=dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
                dsm=dict(mean=[130.0], std=[9.0], relative=relative),
            )
        )
    )
    preprocessor = MultiModalDataPreprocessor(
        dict(rgb={}, dsm=dict(relative_to_median=True, mean=[0.0])), statistics=str(path)
    )
    assert preprocessor.mean_rgb.flatten().tolist() == [1.0, 2.0, 3.0]
    assert preprocessor.std_dsm.item() == 7.0
    assert preprocessor.mean_dsm.item() == 0.0  # the config's own goes first
    assert preprocessor.channels == dict(rgb=3, dsm=1)


def test_single_modality_hands_out_a_tensor():
    modalities = {m: MODALITIES[m] for m in ('rgb', 'dsm')}
    data = tiny_batch(2)
    inputs = SingleModalityDataPreprocessor('rgb', modalities=modalities)(data)['inputs']
    torch.testing.assert_close(inputs, (data['inputs']['rgb'].float() - 110) / 50)
    with pytest.raises(ValueError, match="found 'sar'"):
        SingleModalityDataPreprocessor('sar', modalities=modalities)


def test_masks_keep_off_patches_without_data():
    modalities = {m: MODALITIES[m] for m in ('rgb', 'dsm')}
    preprocessor = MaskingDataPreprocessor(modalities, cross_modal=dict(target='dsm'))
    preprocessor.cross_modal_ratio = 0.5
    data = drop(tiny_batch(4), 'dsm', [3])
    data['valid']['dsm'][1, :, :32] = False  # half of the patches
    data['valid']['dsm'][2, :, :60] = False  # nearly all
    batch = preprocessor(data)['inputs']
    for name in modalities:
        assert not (~batch.masks[name] & ~batch.patch_valid[name]).any()
    assert (~batch.masks['dsm']).sum(1).tolist() == [2, 2, 0, 0]
    assert (~batch.masks['rgb']).sum(1).tolist() == [4] * 4
    assert batch.ragged == dict(rgb=False, dsm=True)
    assert batch.present('dsm').tolist() == [True, True, False, False]


def test_random_target_is_one_of_the_present_modalities():
    preprocessor = MaskingDataPreprocessor(MODALITIES, cross_modal=dict(target='random'))
    preprocessor.cross_modal_ratio = 0.5
    data = drop(tiny_batch(64, tuple(MODALITIES)), 'ms', slice(0, 32))
    batch = preprocessor(data)['inputs']
    visible = torch.stack([(~batch.masks[name]).sum(1) for name in MODALITIES], dim=1)
    hit = visible == 2
    assert (hit[:32, :2].sum(1) == 1).all()
    assert (hit[32:].sum(1) == 1).all()
    assert hit[32:].any(dim=0).all()


@pytest.mark.parametrize('target', ['random', 'dsm'])
def test_windows_of_a_single_modality_keep_their_patches(target):
    modalities = {m: MODALITIES[m] for m in ('rgb', 'dsm')}
    preprocessor = MaskingDataPreprocessor(modalities, cross_modal=dict(target=target))
    preprocessor.cross_modal_ratio = 0.5
    data = drop(drop(tiny_batch(16), 'dsm', slice(0, 4)), 'rgb', slice(4, 8))
    batch = preprocessor(data)['inputs']
    visible = torch.stack([(~batch.masks[name]).sum(dim=1) for name in modalities], dim=1)
    assert visible[:4].tolist() == [[4, 0]] * 4
    assert visible[4:8].tolist() == [[0, 4]] * 4
    assert (visible[8:].sum(dim=1) == 6).all()


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (lambda d: d['inputs'].pop('dsm'), KeyError, "modality 'dsm'"),
        (
            lambda d: d['inputs'].update(rgb=d['inputs']['rgb'][:, :2]),
            ValueError,
            'expected 3 bands .one mean each., found 2',
        ),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(change, error, message):
    data = tiny_batch(2)
    change(data)
    with pytest.raises(error, match=message):
        MultiModalDataPreprocessor({m: MODALITIES[m] for m in ('rgb', 'dsm')})(data)


@pytest.mark.parametrize(
    ('modalities', 'message'),
    [
        ({}, 'at least one'),
        (dict(rgb={}), 'modalities.rgb.mean'),
        (dict(rgb=dict(mean=[1.0, 2.0], std=[1.0])), 'modalities.rgb'),
        (dict(rgb=dict(mean=[1.0], std=[0.0])), 'positive std'),
    ],
)
def test_missing_or_wrong_statistics_name_the_key(modalities, message):
    with pytest.raises(ValueError, match=message):
        MultiModalDataPreprocessor(modalities)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(patch_size=0), 'patch_size: expected an integer of 1 or more, found 0'),
        (dict(patch_size=16.0), 'patch_size: expected an integer of 1 or more, found 16.0'),
        (dict(max_invalid_per_patch=7), 'max_invalid_per_patch: expected a share.*, found 7'),
        (dict(max_invalid=-1), 'max_invalid_per_patch: expected a share from 0 to 1, found -1'),
        (dict(max_invalid_per_patch='a'), "max_invalid_per_patch: expected a share.*, found 'a'"),
    ],
)
def test_a_patch_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=f'^{message}$'):
        MaskingDataPreprocessor(MODALITIES, **settings)


def test_unreadable_statistics_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        MultiModalDataPreprocessor(dict(rgb={}), statistics=str(tmp_path / 'nowhere.json'))
    broken = tmp_path / 'broken.json'
    broken.write_text('{')
    with pytest.raises(ValueError, match='broken.json'):
        MultiModalDataPreprocessor(dict(rgb={}), statistics=str(broken))


def test_least_span_of_the_score_is_set_per_modality():
    data = tiny_batch(2)
    data['inputs']['dsm'] = 200 + 0.05 * torch.randn(2, 1, 64, 64)
    scores = []
    for min_span in (0.0, 5.0):
        modalities = dict(dsm=MODALITIES['dsm'] | dict(min_span=min_span))
        scores.append(MaskingDataPreprocessor(modalities)(data)['inputs'].score)
    assert (scores[1] < 0.02 * scores[0]).all()

    for wrong in (-1.0, 'much', True, float('nan')):
        modalities = dict(dsm=MODALITIES['dsm'] | dict(min_span=wrong))
        with pytest.raises(ValueError, match='modalities.dsm.min_span'):
            MaskingDataPreprocessor(modalities)


@pytest.mark.parametrize('same', [False, True])
def test_same_masks_hide_the_same_locations_and_independent_ones_do_not(same):
    model = tiny_model(
        size=128, **{'data_preprocessor.same_masks': same, 'data_preprocessor.cross_modal': None}
    )
    data = drop(tiny_batch(6, size=128), 'dsm', [2])
    data['valid']['dsm'][3, :, :64] = False
    batch = model.data_preprocessor(data)['inputs']
    both = batch.patch_valid['rgb'] & batch.patch_valid['dsm']
    alike = (batch.masks['rgb'] == batch.masks['dsm']) | ~both
    seen = torch.stack([~mask for mask in batch.masks.values()]).any(dim=0).sum(dim=1)
    unseen = [batch.masks[name] & batch.patch_valid[name] for name in batch.masks]
    assert (batch.masks['rgb'].sum(dim=1) == 48).all()
    assert seen.max() <= batch.num_seen
    assert torch.stack(unseen).any(dim=0).sum(dim=1).max() <= batch.num_unseen
    if same:
        assert alike.all()
        assert batch.num_seen == 16
        assert batch.ragged == dict(rgb=False, dsm=True)
    else:
        assert (alike[[0, 1, 4, 5]].sum(dim=1) < 60).all()


@pytest.mark.parametrize('ratio', [0.25, 0.5, 1.0])
def test_cross_modal_masking_hides_more_of_its_target_below_the_same_mask(ratio):
    model = tiny_model(size=128, **{'data_preprocessor.same_masks': True})
    model.data_preprocessor.cross_modal_ratio = ratio
    batch = model.data_preprocessor(drop(tiny_batch(6, size=128), 'rgb', [2]))['inputs']

    extra = batch.masks['dsm'] & ~batch.masks['rgb']
    assert (batch.masks['rgb'] & ~batch.masks['dsm']).sum(dim=1).tolist() == [0, 0, 16, 0, 0, 0]
    # 16 of 64 patches are visible; the window without colors keeps its heights
    assert extra.sum(dim=1).tolist() == [round(16 * ratio) if b != 2 else 0 for b in range(6)]
    assert (~batch.masks['dsm'][2]).sum() == 16
    assert batch.num_seen == 16
    assert batch.num_unseen == 48 + round(16 * ratio)


@pytest.mark.parametrize('same', [False, True])
@pytest.mark.parametrize('ratio', [0.3, 0.5, 0.7])
def test_cross_modal_masking_hides_its_share_of_what_is_visible(same, ratio):
    """Of the target's own visible patches, however many holes it has; none where it is alone."""
    model = tiny_model(size=128, **{'data_preprocessor.same_masks': same})
    preprocessor = model.data_preprocessor
    data = tiny_batch(8, size=128)
    for window in range(8):
        data['valid']['dsm'][window, :, : 16 * window] = False
    data['valid']['rgb'][6] = False
    data['valid']['rgb'][7, :, 16:] = False  # colors in the only row without heights

    counts = []
    for preprocessor.cross_modal_ratio in (0.0, ratio):
        preprocessor.seed_next_batch(1)  # the same masks before
        batch = preprocessor(deepcopy(data))['inputs']
        counts.append((~batch.masks['dsm']).sum(dim=1))
        elsewhere = (~batch.masks['rgb']).any(dim=1)
    before, after = counts
    for b in range(8):
        hidden = round(ratio * int(before[b])) if elsewhere[b] else 0
        assert after[b] == before[b] - hidden, b
    assert after[6] == before[6] > 0


def test_same_masks_and_complementary_masking_exclude_each_other():
    with pytest.raises(ValueError, match=r'same_masks: expected cross_modal\.complementary=False'):
        tiny_model(
            **{
                'data_preprocessor.same_masks': True,
                'data_preprocessor.cross_modal.complementary': True,
            }
        )


@pytest.mark.parametrize('weights', [(1.0, 1.0, 1.0), (0.8, 0.5, 0.3)])
def test_masks_are_the_same_whether_an_unused_score_is_computed_or_not(weights):
    preprocessor = tiny_model(size=128, **{'data_preprocessor.weights': weights}).data_preprocessor
    data = drop(tiny_batch(4, size=128), 'dsm', [2])
    batches = []
    for training in (True, False):
        preprocessor.seed_next_batch(3)
        batches.append(preprocessor(data, training)['inputs'])
    for name in ('rgb', 'dsm'):
        assert torch.equal(batches[0].masks[name], batches[1].masks[name])
    assert torch.equal(batches[0].noise, batches[1].noise)
    assert batches[1].score.any()
    assert bool(batches[0].score.any()) == (len(set(weights)) > 1)
