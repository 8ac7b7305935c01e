"""Cheaper decoders: hidden queries and filled fused tokens, against a loop over windows."""

import pytest
import torch

from mssdf.models.utils import sincos_positions

from .tiny import ALL_LOSSES, drop, tiny_batch, tiny_model

NAMES = ('rgb', 'dsm', 'ms')
ENCODER = {'pairwise.features': 'encoder'}  # decoding hidden patches alone needs it


def decode_by_loop(model, batch, filled: bool):
    """One window after another: the hidden, valid patches of each modality, without padding."""
    fusion, modality = model.fusion_decoder, model.modality_decoder
    positions = sincos_positions(batch.grid, fusion.embed_dims)[0]
    decoded = {name: [] for name in batch.images}
    for b in range(batch.batch_size):
        tokens = {}
        for name, image in batch.images.items():
            visible = (~batch.masks[name][b]).nonzero()[:, 0].tolist()
            if not visible:
                continue
            all_tokens = model.embedding(name, image[b : b + 1], model.backbone.patch_embed)
            all_tokens = model.backbone.add_positions(all_tokens, batch.grid)
            encoded = model.backbone.encode(all_tokens[:, visible])
            values = fusion.project(encoded[:, 1:] + encoded[:, :1].detach())[0]
            tokens[name] = dict(zip(visible, values, strict=True))
        union = sorted({place for one in tokens.values() for place in one})
        sequence = []
        if not filled:
            sequence += [
                value + positions[place] for one in tokens.values() for place, value in one.items()
            ]
        for place in union:
            fused = fusion.fusion_token[0, 0] + positions[place]
            if filled:
                there = [one[place] for one in tokens.values() if place in one]
                fused = fused + torch.stack(there).mean(0)
            sequence.append(fused)
        fused = fusion.decoder(torch.stack(sequence)[None])[:, -len(union) :]
        for index, name in enumerate(sorted(batch.images)):
            hidden = (batch.masks[name] & batch.patch_valid[name])[b].nonzero()[:, 0]
            queries = modality.mask_tokens[index : index + 1] + positions[hidden]
            sequence = torch.cat([fused + positions[union], queries], dim=1)
            decoded[name].append(modality.decoder(sequence)[0, len(union) :])
    return decoded


@pytest.mark.parametrize('filled', [False, True])
def test_hidden_queries_equal_a_loop_over_windows(filled):
    settings = {'modality_decoder.queries': 'hidden', 'fusion_decoder.filled': filled}
    cross_modal = {'data_preprocessor.cross_modal': dict(target='random')}
    model = tiny_model(NAMES, losses=ALL_LOSSES, **ENCODER, **settings, **cross_modal)
    model.data_preprocessor.cross_modal_ratio = 0.4
    data = drop(drop(tiny_batch(6, NAMES), 'dsm', [1, 4]), 'ms', [0, 1])
    data['valid']['rgb'][2, :, :50] = False
    batch = model.data_preprocessor(data)['inputs']

    decoded = model.decode_batch(model.encode(batch), batch)
    expected = decode_by_loop(model, batch, filled)
    for name, one in decoded.items():
        hidden = batch.masks[name] & batch.patch_valid[name]
        assert one.hidden.sum() == hidden.sum()  # no patch is left out
        for b in range(6):
            kept = one.hidden[b]
            assert one.locations[b][kept].tolist() == hidden[b].nonzero()[:, 0].tolist()
            torch.testing.assert_close(one.tokens[b][kept], expected[name][b], atol=1e-5, rtol=1e-4)


def test_losses_over_hidden_queries_are_those_over_all_patches():
    """What is predicted at hidden patches decides alone; decoders without layers show it."""
    settings = {'fusion_decoder.num_layers': 0, 'modality_decoder.num_layers': 0}
    losses = ALL_LOSSES | dict(disc=1.0)
    results = []
    for queries in ('all', 'hidden'):
        model = tiny_model(
            NAMES, losses=losses, **ENCODER, **settings, **{'modality_decoder.queries': queries}
        )
        torch.manual_seed(5)
        data = drop(tiny_batch(4, NAMES), 'ms', [2])
        data['valid']['rgb'][1, :, :40] = False
        results.append(model.loss(**model.data_preprocessor(data)))
    for name in losses:
        torch.testing.assert_close(results[0][name], results[1][name], msg=name)


@pytest.mark.parametrize('same', [False, True])
def test_joint_decoding_is_that_of_one_modality_with_all_heads(same):
    """Each location that some modality hides is decoded once; the loop decodes it alone."""
    model = tiny_model(
        NAMES,
        losses=ALL_LOSSES | dict(rec=0.0),
        **ENCODER,
        **{
            'modality_decoder.queries': 'hidden',
            'modality_decoder.joint': True,
            'fusion_decoder.filled': True,
            'data_preprocessor.same_masks': same,
            'data_preprocessor.cross_modal': None,
        },
    )
    data = drop(tiny_batch(4, NAMES), 'dsm', [1])
    data['valid']['ms'][2, :, :40] = False
    batch = model.data_preprocessor(data)['inputs']
    decoded = model.decode_batch(model.encode(batch), batch)
    positions = sincos_positions(batch.grid, 32)[0]
    hidden = {name: batch.masks[name] & batch.patch_valid[name] for name in NAMES}
    anywhere = torch.stack(list(hidden.values())).any(dim=0)
    encoded = model.encode(batch)
    fused, where, keep = model.fusion_decoder(
        {name: one.tokens + one.cls_token[:, None] for name, one in encoded.items()},
        {name: one.locations for name, one in encoded.items()},
        {name: one.keep for name, one in encoded.items()},
        batch.grid,
    )
    for b in range(4):
        asked = anywhere[b].nonzero()[:, 0]
        context = fused[b][keep[b]] + positions[where[b][keep[b]]]
        sequence = torch.cat([context, model.modality_decoder.mask_tokens[0] + positions[asked]])
        expected = model.modality_decoder.decoder(sequence[None])[0, len(context) :]
        for name in NAMES:
            own = decoded[name].hidden[b]
            places = decoded[name].locations[b][own]
            assert places.tolist() == hidden[name][b].nonzero()[:, 0].tolist()
            rows = torch.isin(asked, places)
            torch.testing.assert_close(
                decoded[name].tokens[b][own], expected[rows], atol=1e-5, rtol=1e-4
            )


@pytest.mark.parametrize('term', ['rec', 'disc', 'predicted'])
def test_joint_decoding_refuses_terms_with_one_head_for_all(term):
    """Predictions of all modalities would be one tensor."""
    features = dict(features='predicted' if term == 'predicted' else 'encoder')
    losses = dict(rec=0.0, pix=1.0) | ({} if term == 'predicted' else {term: 1.0})
    with pytest.raises(ValueError, match=r'modality_decoder\.joint: expected False'):
        tiny_model(NAMES, losses=losses, pairwise=features, **{'modality_decoder.joint': True})


def test_predicted_pairs_need_all_locations():
    with pytest.raises(ValueError, match=r"modality_decoder\.queries: expected 'all'"):
        tiny_model(**{'modality_decoder.queries': 'hidden'})
    with pytest.raises(ValueError, match=r'modality_decoder\.queries: expected one of'):
        tiny_model(**{'modality_decoder.queries': 'masked'})


@pytest.mark.parametrize(
    ('path', 'learns'), [('detached', False), ('added', True), ('token', True), ('none', False)]
)
def test_the_cls_token_learns_from_the_decoders_only_if_its_path_is_trained(path, learns):
    model = tiny_model(losses=dict.fromkeys(ALL_LOSSES, 0.0) | dict(pix=1.0), cls_path=path)
    batch = model.data_preprocessor(tiny_batch(2))['inputs']
    encoded = model.encode(batch)
    for one in encoded.values():
        one.cls_token.retain_grad()
    decoded = model.decode(encoded, batch.grid)
    sum(values.square().sum() for values in decoded.values()).backward()
    for one in encoded.values():
        assert (one.cls_token.grad is not None and bool(one.cls_token.grad.any())) == learns

    # without it, what it is makes no difference
    for one in encoded.values():
        one.cls_token = one.cls_token + 1.0
    changed = model.decode(encoded, batch.grid)
    assert torch.equal(changed['rgb'], decoded['rgb']) == (path == 'none')


def test_cls_tokens_of_their_own_are_what_all_queries_see():
    model = tiny_model(cls_path='token')
    data = drop(tiny_batch(3), 'dsm', [1])
    data['valid']['rgb'][2, :, :40] = False
    batch = model.data_preprocessor(data)['inputs']
    encoded = model.encode(batch)
    found = model.decode(encoded, batch.grid)
    fusion, modality = model.fusion_decoder, model.modality_decoder
    fused, where, keep = fusion(
        {name: one.tokens for name, one in encoded.items()},
        {name: one.locations for name, one in encoded.items()},
        {name: one.keep for name, one in encoded.items()},
        batch.grid,
    )
    positions = sincos_positions(batch.grid, fusion.embed_dims)[0]
    for b in range(3):
        summary = [
            fusion.project(encoded[name].cls_token[b])
            for name in sorted(encoded)
            if encoded[name].keep[b].any()
        ]
        context = fused[b][keep[b]] + positions[where[b][keep[b]]]
        for index, name in enumerate(sorted(encoded)):
            queries = modality.mask_tokens[index] + positions
            sequence = torch.cat([torch.stack(summary), context, queries])
            expected = modality.decoder(sequence[None])[0, -16:]
            torch.testing.assert_close(found[name][b], expected, atol=1e-5, rtol=1e-4)


def test_a_wrong_cls_path_names_the_key():
    with pytest.raises(ValueError, match='cls_path: expected one of'):
        tiny_model(cls_path='attached')


def test_nothing_hidden_leaves_nothing_to_decode():
    model = tiny_model(
        losses=ALL_LOSSES,
        **ENCODER,
        **{
            'modality_decoder.queries': 'hidden',
            'data_preprocessor.mask_ratio': 0.0,
            'data_preprocessor.cross_modal': None,
        },
    )
    losses = model.loss(**model.data_preprocessor(tiny_batch(2)))
    assert losses['pix'] == 0
    left = sum(ALL_LOSSES[name] * losses[name].item() for name in ('align', 'hsic', 'cls'))
    assert losses['loss'].item() == pytest.approx(left, rel=1e-5)
