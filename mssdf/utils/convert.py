"""Checkpoints of others as backbones of ours: pure functions on state dicts."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

# timm's names (MAE's and the paper's are the same) to those of mmpretrain's VisionTransformer
_BLOCK = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'attn.qkv': 'attn.qkv',
    'attn.proj': 'attn.proj',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
_TOP = {
    'patch_embed.proj.weight': 'patch_embed.projection.weight',
    'patch_embed.proj.bias': 'patch_embed.projection.bias',
    'norm.weight': 'ln1.weight',
    'norm.bias': 'ln1.bias',
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
}
_BLOCK_KEY = re.compile(r'blocks\.(\d+)\.(.+)\.(weight|bias)')


@dataclass
class Converted:
    """A converted backbone.

    Attributes:
        state_dict: keys of mmpretrain's VisionTransformer behind ``backbone.``.
        dropped: keys that a backbone has no place for (heads, decoders, teachers).
        notes: what was made or joined on the way.
    """

    state_dict: dict[str, Tensor]
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _rename(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename timm's keys.

    Raises:
        KeyError: for keys that are neither known nor to be dropped.
    """
    renamed, unknown = {}, []
    for name, value in state_dict.items():
        match = _BLOCK_KEY.fullmatch(name)
        if name in _TOP:
            renamed[f'backbone.{_TOP[name]}'] = value
        elif match and match[2] in _BLOCK:
            renamed[f'backbone.layers.{match[1]}.{_BLOCK[match[2]]}.{match[3]}'] = value
        else:
            unknown.append(name)
    if unknown:
        raise KeyError(f'keys that no plain ViT has: {sorted(unknown)[:12]}')
    for needed in ('backbone.patch_embed.projection.weight', 'backbone.layers.0.attn.qkv.weight'):
        if needed not in renamed:
            raise KeyError(f'no ViT of this format: nothing for {needed}')
    return renamed


def _split(state_dict: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> tuple[dict, list[str]]:
    kept = {name: value for name, value in state_dict.items() if not name.startswith(prefixes)}
    return kept, [name for name in state_dict if name not in kept]


def convert_timm(state_dict: Mapping[str, Tensor], img_size: int | None = None) -> Converted:
    """Timm's VisionTransformer with a cls token; its head and ``fc_norm`` are dropped."""
    kept, dropped = _split(state_dict, ('head.', 'fc_norm.', 'pre_logits.'))
    return Converted(_rename(kept), dropped)


def convert_mae(state_dict: Mapping[str, Tensor], img_size: int | None = None) -> Converted:
    """MAE's released checkpoints: timm's names, a decoder beside, which is dropped."""
    kept, dropped = _split(state_dict, ('decoder_', 'decoder.', 'mask_token', 'head.', 'fc_norm.'))
    return Converted(_rename(kept), dropped)


def sinusoid_1d(num_positions: int, width: int) -> Tensor:
    """The 1-D sinusoid over the flattened index that the paper's code adds to its patches.

    Dimension j of position i is the sine (j even) or cosine (j odd) of
    ``i / 10000 ** (2 * (j // 2) / width)`` (arXiv 1706.03762).

    Returns:
        (1, num_positions, width) float32.
    """
    dimensions = torch.arange(width, dtype=torch.float64)
    rates = 10000.0 ** (-2 * torch.div(dimensions, 2, rounding_mode='floor') / width)
    angles = torch.arange(num_positions, dtype=torch.float64)[:, None] * rates
    even = torch.arange(width) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos()).float()[None]


def convert_official(state_dict: Mapping[str, Tensor], img_size: int | None = 320) -> Converted:
    """The paper's checkpoints: encoder under ``encoder.``, positions not stored.

    ``q_bias`` and ``v_bias`` become the bias of ``qkv`` (the key's bias is zero); the sinusoid is
    written out for ``img_size``; ``cls_embed``, which that code adds to the cls token as its
    position, becomes the first row of the position embedding.

    Args:
        state_dict: with or without ``encoder.`` in front; everything else is dropped.
        img_size: side of the pre-training window in pixels.
    """
    encoder = {
        name.removeprefix('encoder.'): value
        for name, value in state_dict.items()
        if name.startswith('encoder.')
    }
    dropped = [name for name in state_dict if not name.startswith('encoder.')]
    if not encoder:
        encoder, dropped = dict(state_dict), []
    encoder, heads = _split(encoder, ('head.', 'fc_norm.', 'mask_token'))
    dropped += [f'encoder.{name}' for name in heads]
    notes = []
    blocks = sorted(
        {match[1] for name in encoder if (match := _BLOCK_KEY.fullmatch(name))}, key=int
    )
    for block in blocks:
        stem = f'blocks.{block}.attn.'
        query, value = encoder.pop(f'{stem}q_bias', None), encoder.pop(f'{stem}v_bias', None)
        if query is not None and value is not None:
            encoder[f'{stem}qkv.bias'] = torch.cat([query, torch.zeros_like(query), value])
    cls_embed = encoder.pop('cls_embed', None)
    if 'pos_embed' not in encoder:
        if img_size is None:
            raise ValueError('img_size: the positions are not stored, so their number is needed')
        weight = encoder['patch_embed.proj.weight']
        num_patches = (img_size // weight.shape[-1]) ** 2
        positions = sinusoid_1d(num_patches, weight.shape[0])
        first = torch.zeros_like(positions[:, :1])
        if cls_embed is not None:
            first = cls_embed.reshape(1, 1, -1).float()
            notes.append('cls_embed became the position of the cls token')
        encoder['pos_embed'] = torch.cat([first, positions], dim=1)
        notes.append(f'wrote out the 1-D sinusoid of {num_patches} patches ({img_size} px)')
    return Converted(_rename(encoder), dropped, notes)


FORMATS: dict[str, Callable[..., Converted]] = dict(
    official=convert_official, mae=convert_mae, timm=convert_timm
)


def detect_format(state_dict: Mapping[str, Tensor]) -> str:
    """Tell the format by its keys.

    Raises:
        KeyError: if it is none of ``FORMATS``.
    """
    names = list(state_dict)
    if any('q_bias' in name for name in names) or any(
        name.startswith('encoder.blocks.') for name in names
    ):
        return 'official'
    if any(name.startswith('decoder_') for name in names) or 'mask_token' in names:
        return 'mae'
    if any(name.startswith('blocks.') for name in names):
        return 'timm'
    raise KeyError(f'expected keys of one of {sorted(FORMATS)}, found {sorted(names)[:6]}')


def convert(
    state_dict: Mapping[str, Tensor], source: str = 'auto', img_size: int | None = 320
) -> Converted:
    """Convert a state dict to a backbone of ours.

    Args:
        state_dict: weights, without ``model`` around them.
        source: one of ``FORMATS``, or ``'auto'``.
        img_size: pre-training size in pixels, for positions that are not stored.

    Raises:
        KeyError: for an unknown format or keys that no plain ViT has.
    """
    if source == 'auto':
        source = detect_format(state_dict)
    if source not in FORMATS:
        raise KeyError(f'source: expected one of {sorted(FORMATS)} or auto, found {source!r}')
    return FORMATS[source](state_dict, img_size=img_size)


def grid_side(state_dict: Mapping[str, Tensor]) -> int:
    """Patches along a side of a converted backbone's position embedding."""
    return math.isqrt(state_dict['backbone.pos_embed'].shape[1] - 1)
