"""Conversion: the same features as timm's ViT with the same random weights."""

import numpy as np
import pytest
import torch
from mmpretrain.models import VisionTransformer
from timm.models import VisionTransformer as TimmViT

from mssdf.utils import convert, detect_format

ARCH = dict(embed_dims=48, num_layers=3, num_heads=3, feedforward_channels=192)


@pytest.fixture
def timm_vit() -> TimmViT:
    """Random everywhere, zeros too, so that no key can be mixed up unseen."""
    vit = TimmViT(img_size=64, patch_size=16, embed_dim=48, depth=3, num_heads=3, num_classes=7)
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return vit.eval()


def features_of(converted: dict, image: torch.Tensor) -> torch.Tensor:
    vit = VisionTransformer(arch=ARCH, img_size=64, out_type='raw')
    vit.load_state_dict({k.removeprefix('backbone.'): v for k, v in converted.items()}, strict=True)
    vit.eval()
    with torch.no_grad():
        return vit(image)[0]


def assert_same_features(vit: TimmViT, converted: dict) -> None:
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = vit.forward_features(image)
    torch.testing.assert_close(features_of(converted, image), expected, atol=1e-5, rtol=1e-4)


def numpy_sinusoid(count: int, width: int) -> np.ndarray:
    """The table of the original transformer, entry by entry."""
    table = np.zeros((count, width))
    for position in range(count):
        for j in range(width):
            angle = position / np.power(10000, 2 * (j // 2) / width)
            table[position, j] = np.sin(angle) if j % 2 == 0 else np.cos(angle)
    return table


def test_timm(timm_vit):
    converted = convert(timm_vit.state_dict())
    assert detect_format(timm_vit.state_dict()) == 'timm'
    assert sorted(converted.dropped) == ['head.bias', 'head.weight']
    assert_same_features(timm_vit, converted.state_dict)


def test_mae(timm_vit):
    weights = {k: v for k, v in timm_vit.state_dict().items() if not k.startswith('head.')}
    extra = ['mask_token', 'decoder_embed.weight', 'decoder_pos_embed', 'decoder_blocks.0.x.weight']
    weights |= {name: torch.zeros(1) for name in extra}
    assert detect_format(weights) == 'mae'
    converted = convert(weights)
    assert sorted(converted.dropped) == sorted(extra)
    assert_same_features(timm_vit, converted.state_dict)


@pytest.mark.parametrize('with_cls_embed', [True, False])
@pytest.mark.parametrize('with_prefix', [True, False])
def test_official(timm_vit, with_cls_embed, with_prefix):
    """timm's weights laid out as the paper's; timm gets the positions that are not stored."""
    cls_embed = torch.randn(1, 1, 48) if with_cls_embed else torch.zeros(1, 1, 48)
    positions = torch.from_numpy(numpy_sinusoid(16, 48)).float()[None]
    timm_vit.pos_embed.data = torch.cat([cls_embed, positions], dim=1)
    for block in timm_vit.blocks:
        block.attn.qkv.bias.data[48:96] = 0  # no key bias
    official = {}
    for name, value in timm_vit.state_dict().items():
        if name == 'pos_embed' or name.startswith('head.'):
            continue
        if name.endswith('attn.qkv.bias'):
            stem = name.removesuffix('qkv.bias')
            official[f'{stem}q_bias'], official[f'{stem}v_bias'] = value[:48], value[96:]
        else:
            official[name] = value
    if with_cls_embed:
        official['cls_embed'] = cls_embed
    if with_prefix:
        official = {f'encoder.{name}': value for name, value in official.items()}
        official['decoder.blocks.0.norm1.weight'] = torch.zeros(3)
    assert detect_format(official) == 'official'
    converted = convert(official, img_size=64)
    assert converted.dropped == (['decoder.blocks.0.norm1.weight'] if with_prefix else [])
    assert_same_features(timm_vit, converted.state_dict)


def test_nothing_is_dropped_in_silence(timm_vit):
    weights = timm_vit.state_dict() | {'blocks.0.attn.relative_position': torch.zeros(2)}
    with pytest.raises(KeyError, match='blocks.0.attn.relative_position'):
        convert(weights)
    with pytest.raises(KeyError, match='expected keys of one of'):
        convert({'layer1.conv.weight': torch.zeros(1)})
    with pytest.raises(KeyError, match="found 'beit'"):
        convert(timm_vit.state_dict(), 'beit')
