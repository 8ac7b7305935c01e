"""From a config to every field of the masked batch and every loss term, against NumPy."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mmpretrain.models.utils import build_2d_sincos_position_embedding

from mssdf.models import MaskedVisionTransformer
from mssdf.models.utils import sincos_positions
from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch

from .reference.network import sincos
from .reference.terms import Terms
from .reference.windows import Batch, masked_batch
from .wiring import CASES, GRID, PATCH, WINDOWS, Case, made, raw_windows

SEEDS = (11, 12)


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request) -> Case:
    return request.param


def assert_same_fields(found: MaskedBatch, expected: Batch) -> None:
    assert found.grid == expected.grid == GRID
    np.testing.assert_allclose(found.score, expected.score, rtol=2e-4, atol=1e-2)
    np.testing.assert_array_equal(found.noise, expected.noise)
    assert list(found.images) == list(expected.images)
    for name, image in expected.images.items():
        np.testing.assert_array_equal(found.pixel_valid[name], expected.pixel_valid[name])
        np.testing.assert_array_equal(found.patch_valid[name], expected.patch_valid[name])
        np.testing.assert_array_equal(found.masks[name], expected.masks[name], err_msg=name)
        np.testing.assert_allclose(found.images[name], image, atol=2e-4)


def views(found: MaskedBatch, expected: Batch) -> Iterator[tuple[MaskedBatch, Batch]]:
    yield found, expected
    assert (found.second is None) == (expected.second is None)
    if expected.second is not None:
        yield found.second, expected.second


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('chosen', [range(WINDOWS), (0, 3, 4, 5)], ids=['all', 'nothing lacks'])
def test_every_field_of_the_masked_batch(case, seed, chosen):
    """In windows that all have colors and heights more of the target can be left out for good."""
    model, raw = case.build(), raw_windows(case.names, chosen)
    found = made(model, raw, seed)
    expected = masked_batch(raw['images'], raw['valid'], case.recipe(), seed)
    if 'inst' not in case.config().losses:
        expected.second = None  # nobody looks at it
    for one, other in views(found, expected):
        assert_same_fields(one, other)
        assert one.same_masks == case.recipe().same_masks
        for name, mask in other.masks.items():
            visible = (~mask).sum(axis=1)
            hidden = (mask & other.patch_valid[name]).sum(axis=1)
            assert visible.max() <= one.num_visible[name]
            assert one.ragged[name] or (visible == one.num_visible[name]).all()
            assert hidden.max() <= one.num_hidden[name]
        seen = np.any([~mask for mask in other.masks.values()], axis=0).sum(axis=1)
        assert seen.max() <= one.num_seen
        unseen = np.any([other.masks[m] & other.patch_valid[m] for m in other.masks], axis=0)
        assert unseen.sum(axis=1).max() <= one.num_unseen


@pytest.mark.parametrize('seed', SEEDS)
def test_every_loss_term(case, seed):
    model, raw = case.build(), raw_windows(case.names)
    expected = masked_batch(raw['images'], raw['valid'], case.recipe(), seed)
    if 'inst' not in case.config().losses:
        expected.second = None
    with torch.no_grad():
        found = model.loss(made(model, raw, seed))
    terms = Terms(case.network(model), case.losses(), expected).all()
    assert {name for name in found if name in (*case.losses().weights, 'loss')} == set(terms)
    for name, value in terms.items():
        assert found[name].item() == pytest.approx(value, rel=3e-4, abs=1e-6), name
        assert value > 0, name
    for name, mask in expected.masks.items():
        assert found[f'visible_{name}'].item() == pytest.approx((~mask).sum() / WINDOWS)


def test_projections_have_the_width_of_the_config(case):
    model, config = case.build(), case.config()
    if model.align_head is not None:
        width = config.pairwise.projector
        for name in case.names:
            assert model.align_head(name, torch.zeros(2, 24)).shape == (2, width)
    assert (model.align_head is None) == (config.pairwise.get('projector') is None)
    if model.instance_head is not None:
        width = config.instance.get('projector', 128)
        assert model.instance_head('all', torch.zeros(2, 24)).shape == (2, width)


def test_weights_start_as_in_mae_and_targets_are_never_learned(case):
    torch.manual_seed(0)
    model = MODELS.build(case.config())
    model.init_weights()
    assert model.backbone.cls_token.std().item() == pytest.approx(0.02, rel=0.5)
    layers = [model.backbone.patch_embed.projection, *model.embedding.children()]
    for layer in layers:
        for one in layer.values() if isinstance(layer, torch.nn.ModuleDict) else [layer]:
            if one.kernel_size != (PATCH, PATCH):
                continue
            # Xavier's bound of the linear layer over a patch that each convolution is
            bound = (6 / (one.in_channels * PATCH**2 + one.out_channels)) ** 0.5
            assert one.weight.abs().max().item() == pytest.approx(bound, rel=0.05)
    if model.patch_projection is not None:
        assert not any(one.requires_grad for one in model.patch_projection.parameters())


def test_every_option_of_the_data_preprocessor_and_the_model_is_tried():
    """A new option must come into a case, with a value of its own."""
    import inspect

    from mssdf.models import MSSDF, MaskingDataPreprocessor
    from mssdf.models.selfsup.pairwise import PairwiseOptions

    # what does not change a value, and the weights to start from, have tests of their own
    elsewhere = {
        'monitor_interval',
        'monitor_gradients',
        'checkpoint_activations',
        'init_cfg',
        'ramps',  # of earlier versions, refused
        'data_preprocessor',
        'modalities',
        'patch_size',
        'kwargs',
    }
    configs = [case.config() for case in CASES.values()]
    for kind, parts in (
        (MSSDF, configs),
        (MaskingDataPreprocessor, [one.data_preprocessor for one in configs]),
        (PairwiseOptions, [one.pairwise for one in configs]),
    ):
        for name, parameter in inspect.signature(kind).parameters.items():
            if name in elsewhere:
                continue
            values = {repr(part[name]) for part in parts if name in part}
            assert values - {repr(parameter.default)}, f'{kind.__name__}.{name}'


@pytest.mark.parametrize('grid', [(4, 4), (3, 5), (7, 2)])
def test_positions_equal_a_formula_of_their_own(grid):
    expected = sincos(grid, 24)
    np.testing.assert_allclose(sincos_positions(grid, 24)[0], expected, atol=1e-6)


def test_positions_of_the_backbone_are_those_of_mae_and_stay_so():
    arch = dict(embed_dims=24, num_layers=1, num_heads=3, feedforward_channels=24)
    backbone = MaskedVisionTransformer(arch=arch, img_size=48, patch_size=8)
    expected = build_2d_sincos_position_embedding(6, 24, cls_token=True)
    assert torch.equal(backbone.pos_embed, expected)
    backbone.init_weights()
    assert torch.equal(backbone.pos_embed, expected)
    assert not backbone.pos_embed.requires_grad
    np.testing.assert_allclose(backbone.pos_embed[0, 1:], sincos((6, 6), 24), atol=1e-6)


def test_positions_kept_for_one_device_serve_no_other():
    """A model on the meta device has shapes alone; the next one on the CPU needs values."""
    with torch.device('meta'):
        assert sincos_positions((2, 7), 12).is_meta
    assert sincos_positions((2, 7), 12).abs().sum() > 0
    with torch.device('meta'):
        assert not sincos_positions((2, 7), 12, device=torch.device('cpu')).is_meta
