"""What a patch hides: its pixels change nothing that the student computes."""

from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import Tensor

from mssdf.models import MSSDF
from mssdf.models.data_preprocessors.second_view import SecondView
from mssdf.models.masking import over_pixels
from mssdf.structures import MaskedBatch

from .tiny import tiny_batch, tiny_model

NAMES = ('rgb', 'dsm', 'ms')


def holes(kind: str) -> dict:
    """A batch of six windows, some of their modalities partly or wholly missing."""
    data = tiny_batch(6, NAMES)
    valid = data['valid']
    if kind == 'single':
        for name in ('dsm', 'ms'):
            valid[name][0] = False
        for name in ('rgb', 'ms'):
            valid[name][1] = False
        valid['ms'][2] = False
    if kind == 'partial':
        for index, name in enumerate(NAMES):
            for window in range(6):
                valid[name][window, :, : 16 * ((index + window) % 5)] = False
    return data


@pytest.fixture(scope='module')
def model() -> MSSDF:
    return tiny_model(NAMES)


def spoil_hidden(batch: MaskedBatch, patch_size: int) -> MaskedBatch:
    """The same masks over other pixels."""
    spoiled = deepcopy(batch)
    rows, cols = batch.grid
    for name, image in spoiled.images.items():
        hidden = over_pixels(batch.masks[name].view(-1, rows, cols), patch_size)[:, None]
        spoiled.images[name] = torch.where(hidden, torch.randn_like(image) * 50, image)
    return spoiled


@torch.no_grad()
def outputs(model: MSSDF, batch: MaskedBatch) -> dict[str, Tensor]:
    """Everything that the student makes of a batch, padding apart."""
    found = {}
    encoded = model.encode(batch)
    for name, one in encoded.items():
        found[f'cls_{name}'] = one.cls_token
        found[f'tokens_{name}'] = one.tokens[one.keep]

    fused, _, keep = model.fusion_decoder(
        {name: one.tokens for name, one in encoded.items()},
        {name: one.locations for name, one in encoded.items()},
        {name: one.keep for name, one in encoded.items()},
        batch.grid,
    )
    found['fused'] = fused[keep]
    for name, one in model.decode_batch(encoded, batch).items():
        found[f'asked_{name}'] = one.tokens[one.hidden]
    return found | model.decode(encoded, batch.grid)


@pytest.mark.parametrize('kind', ['complete', 'single', 'partial'])
@pytest.mark.parametrize('target', ['dsm', 'random'])
@pytest.mark.parametrize('complementary', [False, True])
def test_no_hidden_pixel_reaches_the_student(model, kind, target, complementary):
    preprocessor = model.data_preprocessor
    preprocessor.target, preprocessor.complementary = target, complementary

    for ratio, cross_modal in product((0.0, 0.25, 0.5, 0.75, 0.9), (0.0, 0.3, 0.7, 1.0)):
        preprocessor.mask_ratio, preprocessor.cross_modal_ratio = ratio, cross_modal
        torch.manual_seed(0)
        batch = preprocessor(holes(kind))['inputs']
        before = outputs(model, batch)
        after = outputs(model, spoil_hidden(batch, model.patch_size))
        for name, value in before.items():
            assert torch.equal(value, after[name]), (ratio, cross_modal, name)


@pytest.mark.parametrize('kind', ['complete', 'single', 'partial'])
@pytest.mark.parametrize('view', ['masking', 'crop'])
@pytest.mark.parametrize('complementary', [False, True])
def test_no_hidden_pixel_of_a_second_view_reaches_the_student(
    model, monkeypatch, kind, view, complementary
):
    preprocessor = model.data_preprocessor
    monkeypatch.setattr(preprocessor, 'second_view', SecondView(view))
    preprocessor.target, preprocessor.complementary = 'random', complementary

    for ratio, cross_modal in product((0.25, 0.75), (0.3, 1.0)):
        preprocessor.mask_ratio, preprocessor.cross_modal_ratio = ratio, cross_modal
        batch = preprocessor(holes(kind))['inputs'].second
        before = outputs(model, batch)
        after = outputs(model, spoil_hidden(batch, model.patch_size))
        for name, value in before.items():
            assert torch.equal(value, after[name]), (ratio, cross_modal, name)


@pytest.mark.parametrize('kind', ['complete', 'single', 'partial'])
@pytest.mark.parametrize('target', ['dsm', 'random'])
@pytest.mark.parametrize('same, complementary', [(False, False), (False, True), (True, False)])
def test_lengths_told_to_the_model_are_those_of_the_masks(
    model, monkeypatch, kind, target, same, complementary
):
    """Not one visible patch is cut off, and sequences are called even only if they are."""
    preprocessor = model.data_preprocessor
    preprocessor.target, preprocessor.complementary = target, complementary
    monkeypatch.setattr(preprocessor, 'same_masks', same)

    for ratio, cross_modal in product((0.0, 0.25, 0.75), (0.0, 0.3, 1.0)):
        preprocessor.mask_ratio, preprocessor.cross_modal_ratio = ratio, cross_modal
        batch = preprocessor(holes(kind))['inputs']
        seen = torch.stack([~mask for mask in batch.masks.values()]).any(dim=0).sum(dim=1)
        assert seen.max() <= batch.num_seen
        hidden = [batch.masks[name] & batch.patch_valid[name] for name in NAMES]
        assert torch.stack(hidden).any(dim=0).sum(dim=1).max() <= batch.num_unseen
        for name in NAMES:
            visible = (~batch.masks[name]).sum(dim=1)
            assert visible.max() <= batch.num_visible[name]
            assert batch.ragged[name] or (visible == batch.num_visible[name]).all()


@pytest.mark.parametrize('kind', ['complete', 'single', 'partial'])
@pytest.mark.parametrize('joint', [False, True])
@pytest.mark.parametrize('cls_path', ['token', 'added', 'none'])
@pytest.mark.parametrize('target', ['dsm', 'random'])
def test_no_hidden_pixel_reaches_the_student_of_our_recipe(kind, joint, cls_path, target):
    ours = tiny_model(
        NAMES,
        losses=dict(rec=0.0, align=0.2, hsic=0.0, cls=0.0, pix=1.0),
        **{
            'pairwise.features': 'encoder',
            'data_preprocessor.cross_modal.target': target,
            'data_preprocessor.same_masks': True,
            'fusion_decoder.filled': True,
            'modality_decoder.joint': joint,
            'modality_decoder.queries': 'hidden',
            'cls_path': cls_path,
        },
    )
    for ratio, cross_modal in product((0.0, 0.25, 0.75, 0.9), (0.0, 0.5, 1.0)):
        ours.data_preprocessor.mask_ratio = ratio
        ours.data_preprocessor.cross_modal_ratio = cross_modal
        batch = ours.data_preprocessor(holes(kind))['inputs']
        before = outputs(ours, batch)
        after = outputs(ours, spoil_hidden(batch, ours.patch_size))
        for name, value in before.items():
            assert torch.equal(value, after[name]), (ratio, cross_modal, name)
