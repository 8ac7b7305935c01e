"""Conversion: the same features as timm's ViT with the same random weights."""

import numpy as np
import pytest
import torch
from mmpretrain.models import VisionTransformer
from timm.layers import SwiGLUPacked
from timm.models import VisionTransformer as TimmViT

from mssdf.checkpoints import convert, detect_format

WIDTH, DEPTH, SIZE = 48, 3, 64
ARCH = dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=3, feedforward_channels=WIDTH * 4)


def make_timm(**settings) -> TimmViT:
    """Random everywhere, zeros too, so that no key can be mixed up unseen."""
    settings = dict(num_classes=7, embed_dim=WIDTH, depth=DEPTH, num_heads=3) | settings
    vit = TimmViT(img_size=SIZE, patch_size=16, **settings)
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return vit.eval()


def assert_same_features(vit: TimmViT, converted: dict, **settings) -> None:
    """Against mmpretrain's plain ViT, every key filled."""
    assert all(name.startswith('backbone.') for name in converted)
    plain = VisionTransformer(arch=ARCH, img_size=SIZE, out_type='raw', **settings)
    weights = {name.removeprefix('backbone.'): value for name, value in converted.items()}
    plain.load_state_dict(weights, strict=True)
    plain.eval()
    image = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        expected, found = vit.forward_features(image), plain(image)[0]
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_timm():
    vit = make_timm()
    converted = convert(vit.state_dict())
    assert detect_format(vit.state_dict()) == 'timm'
    assert sorted(converted.dropped) == ['head.bias', 'head.weight']
    assert converted.notes == []
    assert_same_features(vit, converted.state_dict)


@pytest.mark.parametrize(
    ('ours', 'theirs', 'note'),
    [
        (dict(qkv_bias=False), dict(), 'wrote zeros for biases'),
        (dict(no_embed_class=True), dict(), 'no row for the cls token'),
        (
            dict(class_token=False, global_pool='avg', fc_norm=False),
            dict(with_cls_token=False),
            'no cls token',
        ),
        (dict(global_pool='avg'), dict(final_norm=False), 'no final norm'),
    ],
    ids=['no bias', 'no position of cls', 'no cls', 'norm after pooling'],
)
def test_variants_of_timm(ours, theirs, note):
    vit = make_timm(**ours)
    converted = convert(vit.state_dict(), 'timm')
    assert any(note in line for line in converted.notes)
    assert_same_features(vit, converted.state_dict, **theirs)


@pytest.mark.parametrize('mask_token', [False, True], ids=['timm', 'hub'])
def test_dinov2(mask_token):
    """Layer scale in every block; the file of torch.hub has a mask token too."""
    vit = make_timm(init_values=1e-5, num_classes=0)
    weights = dict(vit.state_dict())
    if mask_token:
        weights['mask_token'] = torch.zeros(1, WIDTH)
    scale = weights['blocks.1.ls2.gamma']
    converted = convert(weights)
    assert converted.dropped == (['mask_token'] if mask_token else [])
    assert any('layer_scale_init_value=1e-5' in note for note in converted.notes)
    assert torch.equal(converted.state_dict['backbone.layers.1.ffn.gamma2.weight'], scale)
    assert_same_features(vit, converted.state_dict, layer_scale_init_value=1e-5)


@pytest.mark.parametrize(
    ('settings', 'name'),
    [
        (dict(reg_tokens=4), 'reg_token'),
        (dict(qk_norm=True), 'blocks.0.attn.k_norm.bias'),
        # the giant one's: as many keys as a plain one, of other shapes
        (dict(mlp_layer=SwiGLUPacked, mlp_ratio=4), 'blocks.0.mlp.fc1.weight'),
    ],
)
def test_dinov2_with_other_blocks_is_refused_by_name(settings, name):
    weights = make_timm(init_values=1e-5, **settings).state_dict()
    with pytest.raises(KeyError, match=f'expected those of a plain ViT, found {name}'):
        convert(weights, 'timm')


@pytest.mark.parametrize(
    'name',
    ['register_tokens', 'storage_tokens', 'blocks.0.mlp.w12.weight', 'blocks.0.mlp.w3.bias',
     'rope_embed.periods', 'blocks.0.attn.qkv.bias_mask'],
)  # fmt: skip
def test_keys_of_dinov2_and_3_that_no_plain_vit_has(name):
    weights = dict(make_timm(init_values=1e-5).state_dict())
    weights[name] = torch.zeros(4)
    with pytest.raises(KeyError, match=f'expected those of a plain ViT, found {name}'):
        convert(weights, 'timm')


@pytest.mark.parametrize('with_decoder', [True, False])
def test_mae(with_decoder):
    vit = make_timm(num_classes=0)
    weights = dict(vit.state_dict())
    extra = ['mask_token', 'decoder_embed.weight', 'decoder_pos_embed', 'decoder_blocks.0.x.weight']
    if with_decoder:
        weights |= {name: torch.zeros(1) for name in extra}
    assert detect_format(weights) == ('mae' if with_decoder else 'timm')
    for source in ('auto', 'mae'):
        converted = convert(weights, source)
        assert sorted(converted.dropped) == (sorted(extra) if with_decoder else [])
        assert_same_features(vit, converted.state_dict)


def numpy_sinusoid(count: int, width: int) -> np.ndarray:
    """The table of the original transformer, entry by entry."""
    table = np.zeros((count, width))
    for position in range(count):
        for j in range(width):
            angle = position / np.power(10000, 2 * (j // 2) / width)
            table[position, j] = np.sin(angle) if j % 2 == 0 else np.cos(angle)
    return table


def official_pair(cls_embed: str | None = 'cls_embed.weight', cls_token: bool = True):
    """A ViT of timm that carries the fixed positions, and its weights in the paper's layout."""
    vit = make_timm(
        num_classes=0,
        class_token=cls_token,
        global_pool='token' if cls_token else 'avg',
        fc_norm=False,
    )
    positions = torch.from_numpy(numpy_sinusoid(16, WIDTH)).float()[None]
    if cls_token:
        first = torch.randn(1, 1, WIDTH) if cls_embed else torch.zeros(1, 1, WIDTH)
        positions = torch.cat([first, positions], dim=1)
    vit.pos_embed.data = positions
    official = {}
    for name, value in vit.state_dict().items():
        if name.endswith('attn.qkv.bias'):
            value[WIDTH : 2 * WIDTH] = 0  # the key has no bias
            stem = name.removesuffix('qkv.bias')
            official[f'{stem}q_bias'] = value[:WIDTH].clone()
            official[f'{stem}v_bias'] = value[2 * WIDTH :].clone()
        elif name != 'pos_embed':
            official[name] = value
    if cls_token and cls_embed:
        official[cls_embed] = positions[0, :1] if 'weight' in cls_embed else positions[:, :1]
    return vit, official


@pytest.mark.parametrize('prefix', ['encoder.', 'model.encoder.', ''])
@pytest.mark.parametrize('cls_embed', ['cls_embed.weight', 'cls_embed', None])
def test_official(cls_embed, prefix):
    vit, official = official_pair(cls_embed)
    official = {f'{prefix}{name}': value for name, value in official.items()}
    others = []
    if prefix:
        stem = prefix.removesuffix('encoder.')
        others = ['decoder.blocks.0.norm1.weight', 'ema_teacher.cls_token', 'encoder_to_decoder.x']
        official |= {f'{stem}{name}': torch.zeros(3) for name in others}
    before = {name: value.clone() for name, value in official.items()}
    assert detect_format(official) == 'official'
    converted = convert(official, img_size=SIZE)
    assert sorted(converted.dropped) == others
    assert any('sinusoid of 16 patches (64 px)' in note for note in converted.notes)
    assert_same_features(vit, converted.state_dict)
    assert all(torch.equal(before[name], value) for name, value in official.items())


def test_official_without_cls_token():
    vit, official = official_pair(None, cls_token=False)
    converted = convert(official, img_size=SIZE)
    assert any('with_cls_token=False' in note for note in converted.notes)
    assert_same_features(vit, converted.state_dict, with_cls_token=False)


@pytest.mark.parametrize('with_row', [True, False])
def test_official_with_learned_positions(with_row):
    """Stored ones are kept; what is added to the cls token is added to its row."""
    vit, official = official_pair()
    vit.pos_embed.data = torch.randn(1, 17, WIDTH)
    row = torch.randn(1, WIDTH)
    official['cls_embed.weight'] = row
    if with_row:
        official['pos_embed'] = vit.pos_embed.data.clone()
        vit.pos_embed.data[:, 0] += row
    else:
        vit.pos_embed.data[:, 0] = row
        official['pos_embed'] = vit.pos_embed.data[:, 1:].clone()
    stored = official['pos_embed'].clone()
    assert_same_features(vit, convert(official, img_size=None).state_dict)
    assert torch.equal(official['pos_embed'], stored)  # the input stays as it was


@pytest.mark.parametrize('img_size', [None, 0, 8, 100])
def test_a_size_that_does_not_fit_is_refused(img_size):
    with pytest.raises(ValueError, match=f'img_size.*patch size 16, found {img_size}'):
        convert(official_pair()[1], img_size=img_size)


@pytest.mark.parametrize(
    'name',
    [
        'blocks.0.attn.relative_position_bias_table',
        'blocks.0.gamma_1',
        'blocks.0.ls1.gamma',
        'blocks.0.attn.q_norm.weight',
        'reg_token',
        'dist_token',
        'norm_pre.weight',
    ],
)
@pytest.mark.parametrize('source', ['timm', 'mae', 'official'])
def test_keys_that_change_the_features_are_refused(source, name):
    weights = official_pair()[1] if source == 'official' else make_timm().state_dict()
    with pytest.raises(KeyError, match=f'expected those of a plain ViT, found {name}'):
        convert(weights | {name: torch.zeros(2)}, source)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('blocks.1.mlp.fc1.bias', r'without layers\.1\.ffn\.layers\.0\.0\.bias'),
        ('blocks.2.attn.qkv.weight', r'layers\.2\.attn\.qkv\.weight'),
        ('norm.bias', r'ln1\.bias'),
        ('patch_embed.proj.weight', r'patch_embed'),
        ('pos_embed', 'pos_embed'),
    ],
)
def test_what_is_lacking_is_told(name, message):
    weights = dict(make_timm().state_dict())
    weights.pop(name)
    with pytest.raises(KeyError, match=message):
        convert(weights)


def test_a_lost_bias_is_told():
    official = official_pair()[1]
    official.pop('blocks.1.attn.v_bias')
    with pytest.raises(KeyError, match=r'blocks\.1\.attn\.v_bias'):
        convert(official, img_size=SIZE)
    both = official_pair()[1] | {'blocks.0.attn.qkv.bias': torch.zeros(144)}
    with pytest.raises(KeyError, match='found both'):
        convert(both, img_size=SIZE)


def test_positions_that_are_no_grid_are_refused():
    weights = make_timm().state_dict() | {'pos_embed': torch.zeros(1, 15, WIDTH)}
    with pytest.raises(ValueError, match=r'pos_embed.*found \(1, 15, 48\)'):
        convert(weights)


def test_unknown_formats_are_refused():
    with pytest.raises(KeyError, match='expected those of one of'):
        convert({'layer1.conv.weight': torch.zeros(1)})
    with pytest.raises(KeyError, match='need no conversion'):
        convert({'backbone.layers.0.ln1.weight': torch.zeros(1)})
    with pytest.raises(KeyError, match="found 'beit'"):
        convert(make_timm().state_dict(), 'beit')
