"""The algorithm: batching against a loop, independence of samples, switches, precision."""

import re

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.models import VisionTransformer
from mmpretrain.structures import DataSample

from mssdf.models import MSSDF
from mssdf.models.losses import NonFiniteLossError
from mssdf.models.selfsup.terms import Needs, WindowTerm
from mssdf.models.utils import sincos_positions
from mssdf.registry import MODELS

from .tiny import ALL_LOSSES, drop, move, tiny_batch, tiny_config, tiny_model


def decode_by_loop(model: MSSDF, batch) -> dict[str, torch.Tensor]:
    """Section 4 of method.md for one window after another, without padding or key masks."""
    fusion, modality = model.fusion_decoder, model.modality_decoder
    positions = sincos_positions(batch.grid, fusion.embed_dims)[0]
    decoded = {name: [] for name in batch.images}
    for b in range(batch.batch_size):
        sequence, seen = [], torch.zeros(positions.shape[0], dtype=torch.bool)
        for name, image in batch.images.items():
            visible = (~batch.masks[name][b]).nonzero()[:, 0]
            if not len(visible):
                continue
            tokens = model.embedding(name, image[b : b + 1], model.backbone.patch_embed)
            tokens = model.backbone.add_positions(tokens, batch.grid)[:, visible]
            tokens = model.backbone.encode(tokens)
            tokens = tokens[:, 1:] + tokens[:, :1].detach()
            sequence.append(fusion.project(tokens) + positions[visible])
            seen[visible] = True
        union = seen.nonzero()[:, 0]
        sequence.append(fusion.fusion_token + positions[union])
        fused = fusion.decoder(torch.cat(sequence, dim=1))[:, -len(union) :]
        for index, name in enumerate(sorted(batch.images)):
            queries = modality.mask_tokens[index : index + 1] + positions
            sequence = torch.cat([fused + positions[union], queries], dim=1)
            decoded[name].append(modality.decoder(sequence)[:, -len(positions) :])
    return {name: torch.cat(values) for name, values in decoded.items()}


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    model.zero_grad()
    return found


@pytest.mark.parametrize('target', ['dsm', 'random'])
def test_batched_fusion_equals_a_loop_over_samples(target):
    names = ('rgb', 'dsm', 'ms')
    model = tiny_model(
        names, losses=ALL_LOSSES, **{'data_preprocessor.cross_modal': dict(target=target)}
    )
    model.data_preprocessor.cross_modal_ratio = 0.4
    data = drop(drop(tiny_batch(6, names), 'dsm', [1, 4]), 'ms', [0, 1])
    data['valid']['rgb'][2, :, :50] = False  # so few patches that fewer are visible
    batch = model.data_preprocessor(data)['inputs']
    visible = torch.stack([(~mask).sum(1) for mask in batch.masks.values()])
    assert len(visible.unique()) > 2  # the windows really differ
    batched = model.decode(model.encode(batch), batch.grid)
    looped = decode_by_loop(model, batch)
    weights = {name: torch.randn_like(value) for name, value in looped.items()}
    for name in names:
        torch.testing.assert_close(batched[name], looped[name], atol=1e-5, rtol=1e-5)
    sum((looped[name] * weights[name]).mean() for name in names).backward()
    expected = gradients(model)
    sum((batched[name] * weights[name]).mean() for name in names).backward()
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4)


def losses_of_first_window(data: dict) -> dict[str, torch.Tensor]:
    names = tuple(data['inputs'])
    model = tiny_model(names, losses=ALL_LOSSES, seed=1)
    torch.manual_seed(7)
    batch = model.data_preprocessor(data)['inputs']
    forward = model.run(batch, Needs.of(model.loss_terms))
    return {
        term.names[0]: term.per_window(forward, batch)[0]
        for term in model.loss_terms
        if isinstance(term, WindowTerm)
    }


def test_a_windows_losses_do_not_depend_on_what_other_windows_lack():
    names = ('rgb', 'dsm', 'ms')
    whole = tiny_batch(4, names)
    expected = losses_of_first_window(whole)
    assert set(expected) == {'rec', 'pix', 'cls'}
    for missing in ([('dsm', [1, 2])], [('rgb', [3]), ('ms', [1, 2, 3])]):
        data = whole
        for name, windows in missing:
            data = drop(data, name, windows)
        for name, value in losses_of_first_window(data).items():
            torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ('spoil', 'zero'),
    [
        pytest.param(lambda data: data, (), id='complete'),
        pytest.param(
            lambda data: drop(data, 'dsm', [0, 1, 2]), ('align', 'hsic'), id='one modality only'
        ),
        pytest.param(
            lambda data: drop(drop(data, 'dsm', [0]), 'rgb', [0]), (), id='an empty window'
        ),
        pytest.param(
            lambda data: drop(drop(data, 'dsm', [0, 1, 2]), 'rgb', [0, 1, 2]),
            ('rec', 'align', 'hsic', 'cls', 'pix', 'loss'),
            id='all nodata',
        ),
        pytest.param(
            lambda data: {
                key: value and {name: tensor[:1] for name, tensor in value.items()}
                for key, value in data.items()
            },
            (),
            id='batch of one',
        ),
        pytest.param(
            lambda data: (
                data | dict(inputs={name: torch.ones_like(x) for name, x in data['inputs'].items()})
            ),
            (),
            id='constant',
        ),
    ],
)
@pytest.mark.parametrize('features', ['predicted', 'encoder'])
def test_terms_without_anything_to_compare_are_zero_and_gradients_finite(spoil, zero, features):
    model = tiny_model(losses=ALL_LOSSES, **{'pairwise.features': features})
    model.data_preprocessor.cross_modal_ratio = 0.7
    losses = model.loss(**model.data_preprocessor(spoil(tiny_batch(3))))
    found = {name for name in (*ALL_LOSSES, 'loss') if losses[name] == 0}
    if features == 'encoder':  # of so few patches hardly any is visible in both
        found -= {'align', 'hsic'} - set(zero)
    assert found == set(zero)
    total = sum(weight * losses[name].item() for name, weight in ALL_LOSSES.items())
    assert losses['loss'].item() == pytest.approx(total, rel=1e-5)
    losses['loss'].backward()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(model).values())


def test_nan_and_infinite_pixels_are_like_nodata():
    model = tiny_model(losses=ALL_LOSSES)
    clean = tiny_batch(2)
    clean['valid']['dsm'][:, :, 10:30, 5:40] = False
    spoiled = drop(clean, 'dsm', [])
    spoiled['inputs']['dsm'][:, :, 10:20, 5:40] = torch.nan
    spoiled['inputs']['dsm'][:, :, 20:30, 5:40] = -torch.inf
    spoiled['valid']['dsm'][:] = True
    results = []
    for data in (clean, spoiled):
        torch.manual_seed(0)
        results.append(model.loss(**model.data_preprocessor(data)))
    assert results[0]['loss'] == results[1]['loss']


def test_masks_reach_the_student_in_exact_numbers():
    model = tiny_model(losses=ALL_LOSSES, size=96)  # 36 patches
    model.data_preprocessor.cross_modal_ratio = 0.35
    batch = model.data_preprocessor(tiny_batch(5, size=96))['inputs']
    visible = 36 - int(0.75 * 36)
    encoded = model.encode(batch)
    assert encoded['rgb'].tokens.shape == (5, visible, 48)
    assert encoded['dsm'].tokens.shape == (5, visible - round(0.35 * visible), 48)
    assert all(one.keep.all() for one in encoded.values())
    assert not any(batch.ragged.values())


def test_masked_pixels_cannot_leak_into_the_student():
    """What the student predicts is the same whatever stands in the hidden patches."""
    model = tiny_model(losses=ALL_LOSSES)
    batch = model.data_preprocessor(tiny_batch(2))['inputs']
    before = model.inspect(batch)['predicted']
    for name, image in batch.images.items():
        hidden = batch.masks[name].view(2, 1, *batch.grid).float()
        hidden = torch.nn.functional.interpolate(hidden, scale_factor=16) > 0
        batch.images[name] = torch.where(hidden, torch.randn_like(image), image)
    after = model.inspect(batch)['predicted']
    for name in before:
        torch.testing.assert_close(after[name], before[name])


@pytest.mark.parametrize('term', ['rec', 'align', 'hsic', 'cls', 'pix'])
def test_weight_zero_skips_a_term_and_its_modules(term):
    model = tiny_model(losses=ALL_LOSSES | {term: 0.0})
    losses = model.loss(**model.data_preprocessor(tiny_batch(2)))
    assert term not in losses
    assert set(ALL_LOSSES) - {term} <= set(losses)
    losses['loss'].backward()
    unused = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert unused == []  # DistributedDataParallel would stop at one
    absent = dict(rec='teacher', cls='modality_head', pix='pixel_head').get(term)
    if absent:
        assert getattr(model, absent) is None


def test_total_is_the_weighted_sum_and_ramps():
    weights = ALL_LOSSES | dict(rec=2.0)
    model = tiny_model(losses=weights, pairwise=dict(num_locations=16))
    batch = model.data_preprocessor(tiny_batch(3))
    for iteration, weight in ((0, 0.0), (10, 0.0), (15, 0.5), (30, 2.0), (99, 2.0)):
        move(model, iteration, losses=dict(rec=(10, 30)))
        losses = model.loss(**batch)
        assert ('rec' in losses) == (weight > 0)  # the teacher is not run before
        expected = sum(
            (weight if name == 'rec' else ALL_LOSSES[name]) * losses[name]
            for name in ALL_LOSSES
            if name in losses
        )
        assert losses['loss'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_wrong_settings_name_the_key():
    for settings, error, message in (
        (dict(losses=dict(recon=1.0)), KeyError, 'recon'),
        (dict(losses=dict.fromkeys(ALL_LOSSES, 0.0)), ValueError, 'at least one weight'),
        (dict(losses=dict(rec=-1.0)), ValueError, 'expected finite weights of at least 0'),
        (dict(ramps=dict(rec=(10, 30))), ValueError, 'schedules.losses.rec=(10, 30)'),
        (dict(losses=dict(align=float('nan'))), ValueError, 'finite weights of at least 0'),
        (dict(teacher=dict(target_nrom='batch')), ValueError, "found ['target_nrom']"),
        (dict(instance=dict(temperature=0.0)), ValueError, 'instance.temperature'),
        (dict(discrimination=dict(temperature=-1.0)), ValueError, 'discrimination'),
        ({'data_preprocessor.cross_modal': dict(targt='dsm')}, ValueError, "found ['targt']"),
        ({'data_preprocessor.modalities.dsm.min_spam': 5}, ValueError, "found ['min_spam']"),
        (dict(primary='sar'), ValueError, "found 'sar'"),
        (dict(pairwise=dict(features='tokens')), ValueError, "found 'tokens'"),
        (dict(teacher=dict(target_norm='layer')), ValueError, "found 'layer'"),
        (dict(teacher=dict(average_layers=9)), ValueError, '1...3, found 9'),
        ({'data_preprocessor.patch_size': 8}, ValueError, 'data_preprocessor.patch_size'),
        ({'data_preprocessor.mask_ratio': 1.5}, ValueError, 'found 1.5'),
        ({'data_preprocessor.cross_modal': dict(target='ms')}, ValueError, "found 'ms'"),
        ({'modality_decoder.embed_dims': 64}, ValueError, 'modality_decoder.embed_dims'),
    ):
        with pytest.raises(error, match=re.escape(message)):
            MODELS.build(tiny_config(**settings))


def test_the_data_preprocessor_takes_the_patch_size_of_the_backbone():
    config = tiny_config(**{'backbone.patch_size': 8})
    config['data_preprocessor'].pop('patch_size', None)
    model = MODELS.build(config)
    assert model.data_preprocessor.patch_size == model.backbone.patch_size == 8


def test_the_order_of_the_modalities_in_the_config_means_nothing():
    """MMEngine sorts the config that it keeps with a run; weights must mean the same under it."""
    losses, outputs = ALL_LOSSES | dict(align=0.0, hsic=0.0), []
    weights = tiny_model(('rgb', 'dsm'), losses=losses).state_dict()
    for names in (('rgb', 'dsm'), ('dsm', 'rgb')):
        model = tiny_model(names, losses=losses, primary='rgb', seed=1)
        model.load_state_dict(weights)
        batch = model.data_preprocessor(tiny_batch(3))['inputs']
        for index, name in enumerate(('rgb', 'dsm')):  # masks are drawn in the order of the config
            shifted = torch.arange(16).roll(5 * index) < 12
            batch.masks[name] = shifted.expand(3, 16)
        outputs.append(model.loss(batch))
    for name in ('rec', 'cls', 'pix'):
        torch.testing.assert_close(outputs[0][name], outputs[1][name], msg=name)


def test_teacher_starts_as_the_student_and_follows_it():
    torch.manual_seed(0)
    from mssdf.registry import MODELS

    model = MODELS.build(tiny_config(**{'embedding.type': 'mssdf.PerModalityPatchEmbedding'}))
    model.init_weights()
    assert list(model.teacher.embedding.parameters())
    pairs = list(zip(model.teacher.backbone.parameters(), model.backbone.parameters(), strict=True))
    pairs += zip(model.teacher.embedding.parameters(), model.embedding.parameters(), strict=True)
    assert all(torch.equal(teacher, student) for teacher, student in pairs)
    before = [teacher.clone() for teacher, _ in pairs]
    for _, student in pairs:
        student.data.add_(torch.randn_like(student))
    model.update_teacher(0.9)
    for old, (teacher, student) in zip(before, pairs, strict=True):
        torch.testing.assert_close(teacher, 0.9 * old + 0.1 * student)
        assert not teacher.requires_grad
    model.train()
    assert not any(module.training for module in model.teacher.modules())


def test_teacher_averages_layers_as_data2vec():
    model = tiny_model(teacher=dict(target_norm=None, average_layers=2))
    image = torch.randn(2, 3, 64, 64)
    outputs = []
    for layer in model.teacher.backbone.layers:
        layer.register_forward_hook(lambda module, args, output: outputs.append(output))
    valid = torch.ones(2, 16, dtype=torch.bool)
    features = model.teacher(dict(rgb=image), dict(rgb=valid), (4, 4))[1]['rgb']
    del outputs[:]
    model.teacher.backbone(image)
    layers = [torch.nn.functional.layer_norm(output, (48,)) for output in outputs[-2:]]
    torch.testing.assert_close(features, (sum(layers) / 2)[:, 1:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('embedding', ['PerModalityPatchEmbedding', 'SharedPatchEmbedding'])
def test_backbone_is_a_plain_vit(embedding):
    """Every key loads, and features equal the encoder's own, at other sizes too."""
    names = ('rgb', 'dsm', 'ms')
    model = tiny_model(names, **{'embedding.type': f'mssdf.{embedding}'}).eval()
    model.loss(**model.data_preprocessor(tiny_batch(2, names)))['loss'].backward()
    from .tiny import ARCH

    for size in (64, 96, 160):
        plain = VisionTransformer(arch=ARCH, img_size=64, out_type='raw')
        plain.eval()
        plain.load_state_dict(model.backbone.state_dict(), strict=True)
        image = torch.randn(2, 3, size, size)
        grid = (size // 16, size // 16)
        tokens = model.embedding('rgb', image, model.backbone.patch_embed)
        tokens = model.backbone.encode(model.backbone.add_positions(tokens, grid))
        torch.testing.assert_close(plain(image)[0], tokens, atol=1e-5, rtol=1e-5)


def test_shared_embedding_renders_to_three_channels():
    names = ('rgb', 'dsm', 'ms')
    settings = {'embedding': dict(type='mssdf.SharedPatchEmbedding', composites=dict(ms=[4, 2, 0]))}
    model = tiny_model(names, **settings)
    ms, dsm = torch.randn(2, 5, 32, 32), torch.randn(2, 1, 32, 32)
    assert torch.equal(model.embedding.render('ms', ms), ms[:, [4, 2, 0]])
    assert torch.equal(model.embedding.render('dsm', dsm), dsm.repeat(1, 3, 1, 1))
    learned = tiny_model(names, **{'embedding.type': 'mssdf.SharedPatchEmbedding'})
    assert set(learned.embedding.projections) == {'ms'}
    with pytest.raises(ValueError, match=r'composites\[.ms.\]: expected 3 bands within 0...4'):
        tiny_model(
            names,
            embedding=dict(type='mssdf.SharedPatchEmbedding', composites=dict(ms=[4, 5, 0])),
        )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('scale', [1.0, 1e5], ids=['usual', 'large'])
def test_losses_do_not_overflow_under_autocast(dtype, scale):
    model = tiny_model(losses=ALL_LOSSES, teacher=dict(target_norm=None))
    for parameter in model.feature_head.parameters():
        parameter.data *= scale
    batch = model.data_preprocessor(tiny_batch(3))
    whole = model.loss(**batch)
    with torch.autocast('cpu', dtype=dtype):
        losses = model.loss(**batch)
    assert all(value.dtype == torch.float32 for value in losses.values())
    for name in (*ALL_LOSSES, 'loss'):
        assert losses[name].item() == pytest.approx(whole[name].item(), rel=0.1, abs=0.02), name
    if scale == 1:
        losses['loss'].backward()
        assert all(torch.isfinite(gradient).all() for gradient in gradients(model).values())
    else:  # a mean of squares that float16 cannot hold
        assert losses['rec'] > torch.finfo(torch.float16).max


def test_a_loss_that_is_not_finite_stops_before_the_step():
    model = tiny_model(losses=ALL_LOSSES)
    model.pixel_head.layers['dsm'].bias.data[0] = torch.inf
    data = tiny_batch(2)
    data['data_samples'] = [
        DataSample(metainfo=dict(files=dict(rgb=f'{name}_dom.tif'))) for name in 'ab'
    ]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(NonFiniteLossError) as caught:
        model.train_step(data, wrapper)
    assert [term.split('=')[0] for term in caught.value.terms] == ['pix', 'loss']
    assert caught.value.files == ['a_dom.tif', 'b_dom.tif']
    assert 'a_dom.tif' in str(caught.value)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_collapse_shows_in_the_log():
    names = ('rank_student', 'std_student', 'rank_teacher', 'std_teacher')
    model = tiny_model(losses=ALL_LOSSES)
    batch = model.data_preprocessor(tiny_batch(16))
    healthy = model.loss(**batch)
    for encoder in (model.backbone, model.teacher.backbone):
        encoder.ln1.weight.data.zero_()
    collapsed = model.loss(**batch)
    for name in names:
        assert healthy[name] > 10 * collapsed[name] + 0.05, name
    model.iteration = 1
    assert not set(names) & set(model.loss(**batch))


def test_content_ignores_what_depends_on_the_position_alone():
    from mssdf.models.selfsup.monitor import content
    from mssdf.models.utils.collapse import effective_rank

    positions = torch.randn(1, 20, 8) * 10
    pattern = torch.randn(6, 1, 1) * torch.randn(1, 1, 8)  # one direction of content
    keep = torch.rand(6, 20) > 0.3
    tokens, counted = content(positions + pattern, keep)
    assert effective_rank(tokens[counted]).item() == pytest.approx(1.0, abs=0.05)
