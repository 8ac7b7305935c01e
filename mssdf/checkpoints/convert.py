"""Conversion of other libraries' checkpoints to backbones of ours, as functions of state dicts.

Each function turns a state dict into the keys of mmpretrain's VisionTransformer behind
``backbone.``. Every key is converted, named as dropped, or an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .position_grid import Grid, square_grid

# timm's names, which MAE and the paper share, and those of mmpretrain's VisionTransformer.
_BLOCK = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'attn.qkv': 'attn.qkv',
    'attn.proj': 'attn.proj',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
# Layer scale of DINOv2 and others: a vector whose name ends in neither weight nor bias.
_SCALES = {'ls1.gamma': 'attn.gamma1.weight', 'ls2.gamma': 'ffn.gamma2.weight'}
_TOP = {
    'patch_embed.proj.weight': 'patch_embed.projection.weight',
    'patch_embed.proj.bias': 'patch_embed.projection.bias',
    'norm.weight': 'ln1.weight',
    'norm.bias': 'ln1.bias',
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
}
_BLOCK_KEY = re.compile(r'blocks\.(\d+)\.(.+)\.(weight|bias)')
_SCALE_KEY = re.compile(r'blocks\.(\d+)\.(ls[12]\.gamma)')
_HEADS = ('head.', 'fc_norm.', 'pre_logits.')


@dataclass
class Converted:
    """A converted backbone.

    Attributes:
        state_dict: weights under the keys of mmpretrain's VisionTransformer behind ``backbone.``.
        dropped: names of keys that do not belong to a backbone (heads, decoders, teachers).
        notes: lines on what was added or joined, and on how to build the backbone.
    """

    state_dict: dict[str, Tensor]
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def convert_timm(
    state_dict: Mapping[str, Tensor], img_size: int | None = None, grid: Grid | None = None
) -> Converted:
    """Convert timm's VisionTransformer; its head and ``fc_norm`` are dropped."""
    kept, dropped = _split(state_dict, _HEADS)
    notes: list[str] = []
    return Converted(_to_mmpretrain(kept, notes, grid), dropped, notes)


def convert_mae(
    state_dict: Mapping[str, Tensor], img_size: int | None = None, grid: Grid | None = None
) -> Converted:
    """Convert MAE's or DINOv2's checkpoints, with timm's names, without decoder and mask token."""
    kept, dropped = _split(state_dict, ('decoder_', 'decoder.', 'mask_token', *_HEADS))
    notes: list[str] = []
    return Converted(_to_mmpretrain(kept, notes, grid), dropped, notes)


def convert_official(
    state_dict: Mapping[str, Tensor], img_size: int | None = 320, grid: Grid | None = None
) -> Converted:
    """Convert the paper's checkpoints: encoder under ``encoder.``, positions not stored.

    ``q_bias`` and ``v_bias`` become the bias of ``qkv`` (the key's bias is zero). The 1-D sinusoid
    is written out for ``img_size``. ``cls_embed``, which the paper's code adds to the cls token as
    it adds positions to patches, becomes the first row of the position embedding.

    Args:
        state_dict: weights with or without the prefix ``encoder.``; with it, all other weights are
            dropped.
        img_size: side of the pre-training window in pixels.
        grid: numbers of rows and columns of patches, in place of ``img_size``.

    Raises:
        KeyError: if keys of the encoder are unknown or missing.
        ValueError: if ``img_size`` is needed and does not fit the patch size.
    """
    if state_dict and all(name.startswith('model.') for name in state_dict):
        state_dict = {name.removeprefix('model.'): state_dict[name] for name in state_dict}

    if any(name.startswith('encoder.') for name in state_dict):
        rest, _ = _split(state_dict, ('encoder.',))
        encoder = {
            name.removeprefix('encoder.'): value
            for name, value in state_dict.items()
            if name not in rest
        }
        dropped, stem = list(rest), 'encoder.'
    else:
        encoder, dropped, stem = dict(state_dict), [], ''

    encoder, heads = _split(encoder, _HEADS)
    dropped += [f'{stem}{name}' for name in heads]
    notes: list[str] = []
    _join_biases(encoder)

    cls_row = encoder.pop('cls_embed.weight', encoder.pop('cls_embed', None))
    if 'pos_embed' not in encoder:
        encoder['pos_embed'] = _write_positions(encoder, img_size, grid, notes)
    if cls_row is not None:
        encoder['pos_embed'] = _add_cls_row(encoder['pos_embed'], cls_row, grid, notes)

    return Converted(_to_mmpretrain(encoder, notes, grid), dropped, notes)


def sinusoid_1d(num_positions: int, width: int) -> Tensor:
    """Compute the 1-D sinusoid over the flattened index, which the paper adds to its patches.

    Dimension j of position i is the sine (j even) or cosine (j odd) of
    ``i / 10000 ** (2 * (j // 2) / width)`` (arXiv 1706.03762).

    Returns:
        Positions (1, num_positions, width) float32.
    """
    dimensions = torch.arange(width)
    exponents = 2 * torch.div(dimensions, 2, rounding_mode='floor').double() / width
    angles = torch.arange(num_positions).double()[:, None] / 10000.0**exponents
    return torch.where(dimensions % 2 == 0, angles.sin(), angles.cos()).float()[None]


def _split(
    state_dict: Mapping[str, Tensor], beginnings: tuple[str, ...]
) -> tuple[dict[str, Tensor], list[str]]:
    """Split off the keys with one of some prefixes; return the rest and the names split off."""
    kept = {name: value for name, value in state_dict.items() if not name.startswith(beginnings)}
    return kept, [name for name in state_dict if name not in kept]


def _join_biases(encoder: dict[str, Tensor]) -> None:
    """Join the biases of query and value into that of qkv, in place."""
    names = [name for name in encoder if name.endswith(('.attn.q_bias', '.attn.v_bias'))]
    for stem in {name[: -len('q_bias')] for name in names}:
        lacking = [stem + part for part in ('q_bias', 'v_bias') if stem + part not in encoder]
        if lacking:
            raise KeyError(f'{stem}: expected q_bias and v_bias together, found no {lacking[0]}')
        query, value = encoder.pop(f'{stem}q_bias'), encoder.pop(f'{stem}v_bias')
        if f'{stem}qkv.bias' in encoder:
            raise KeyError(f'{stem}: expected q_bias or qkv.bias, found both')
        encoder[f'{stem}qkv.bias'] = torch.cat([query, torch.zeros_like(query), value])


def _write_positions(
    encoder: Mapping[str, Tensor], img_size: int | None, grid: Grid | None, notes: list[str]
) -> Tensor:
    """Compute the sinusoid for the patches of a window, with a zero row for a cls token."""
    if 'patch_embed.proj.weight' not in encoder:
        raise KeyError('patch_embed.proj.weight: expected the patch embedding, found none')
    width, patch_size = encoder['patch_embed.proj.weight'].shape[0::3]
    if grid is not None:
        pixels = f'{grid[0] * patch_size} x {grid[1] * patch_size}'
    elif img_size is None or img_size < patch_size or img_size % patch_size:
        raise ValueError(
            f'img_size: the positions are not stored, so the pre-training size is needed; expected '
            f'a multiple of the patch size {patch_size}, found {img_size}'
        )
    else:
        pixels, grid = str(img_size), (img_size // patch_size, img_size // patch_size)
    num_patches = grid[0] * grid[1]
    notes.append(f'wrote out the 1-D sinusoid of {num_patches} patches ({pixels} px)')
    positions = sinusoid_1d(num_patches, width)
    if 'cls_token' not in encoder:
        return positions
    return torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)


def _add_cls_row(positions: Tensor, row: Tensor, grid: Grid | None, notes: list[str]) -> Tensor:
    """Add the embedding that the paper's code adds to the cls token to the first row."""
    if not _has_cls_row(positions, grid):
        positions = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    positions = positions.clone()
    positions[:, 0] += row.reshape(1, -1).to(positions.dtype)
    notes.append("cls_embed became the cls token's row of pos_embed")
    return positions


def _has_cls_row(positions: Tensor, grid: Grid | None) -> bool:
    """Tell whether positions have a row in front of those of the patches.

    Raises:
        ValueError: if they do not fit the grid or, where none is given, a square one.
    """
    rows = positions.shape[1]
    if grid is not None:
        count = grid[0] * grid[1]
        if rows not in (count, count + 1):
            raise ValueError(
                f'pos_embed: expected a grid of {grid[0]} x {grid[1]} and at most one more row, '
                f'found {tuple(positions.shape)}'
            )
        return rows == count + 1
    if square_grid(rows - 1):
        return True
    if not square_grid(rows):
        raise ValueError(
            'pos_embed: expected a square grid and at most one more row, found '
            f'{tuple(positions.shape)}; the sides of an oblong grid: --grid ROWS COLUMNS'
        )
    return False


def _to_mmpretrain(
    state_dict: Mapping[str, Tensor], notes: list[str], grid: Grid | None
) -> dict[str, Tensor]:
    """Rename timm's keys and complete the result.

    Raises:
        KeyError: if keys are unknown or missing.
        ValueError: if the positions have another grid.
    """
    scales = _layer_scales(state_dict)
    renamed, unknown = {}, []

    for name, value in state_dict.items():
        match = _BLOCK_KEY.fullmatch(name)
        if name in _TOP:
            renamed[_TOP[name]] = value
        elif match and match[2] in _BLOCK:
            renamed[f'layers.{match[1]}.{_BLOCK[match[2]]}.{match[3]}'] = value
        elif name in scales:
            renamed[scales[name]] = value
        else:
            unknown.append(name)

    unknown += _gated(state_dict)
    if unknown:
        raise KeyError(f'keys: expected those of a plain ViT, found {_few(unknown)}')

    # Some ViTs lack biases, layer scale, the final norm or the cls token: notes say how to build
    # them.
    depth = len({name.split('.')[1] for name in renamed if name.startswith('layers.')})
    _fill_biases(renamed, depth, notes)
    if scales:
        notes.append('layer scale: build the backbone with layer_scale_init_value=1e-5')
    lacking = [name for name in _needed(depth) if name not in renamed]
    if 'ln1.weight' not in renamed and 'ln1.bias' not in renamed:
        notes.append('no final norm: build the backbone with final_norm=False')
        lacking = [name for name in lacking if not name.startswith('ln1.')]

    if depth == 0 or lacking:
        raise KeyError(
            f'keys: expected all that mmpretrain needs, found {depth} blocks without '
            f'{_few(lacking)}'
        )

    if 'cls_token' not in renamed:
        notes.append('no cls token: build the backbone with with_cls_token=False')
        if _has_cls_row(renamed['pos_embed'], grid):
            raise ValueError(
                'pos_embed: expected a row for each patch, as there is no cls token, found '
                f'{tuple(renamed["pos_embed"].shape)}'
            )
    elif not _has_cls_row(renamed['pos_embed'], grid):
        first = torch.zeros_like(renamed['pos_embed'][:, :1])
        renamed['pos_embed'] = torch.cat([first, renamed['pos_embed']], dim=1)
        notes.append('pos_embed had no row for the cls token: wrote zeros')

    return {f'backbone.{name}': value for name, value in renamed.items()}


def _layer_scales(state_dict: Mapping[str, Tensor]) -> dict[str, str]:
    """Map the names of layer scales to mmpretrain's; to none unless every block has both."""
    matches = [match for match in map(_SCALE_KEY.fullmatch, state_dict) if match]
    blocks = {name.split('.')[1] for name in state_dict if name.startswith('blocks.')}
    if len(matches) < 2 * len(blocks):
        return {}
    return {match[0]: f'layers.{match[1]}.{_SCALES[match[2]]}' for match in matches}


def _gated(state_dict: Mapping[str, Tensor]) -> list[str]:
    """Find the first layers of gated units, which have twice the outputs the second one takes."""
    names = [name for name in state_dict if name.endswith('mlp.fc1.weight')]
    return [
        name
        for name in names
        if (second := state_dict.get(name.replace('fc1', 'fc2'))) is not None
        and len(state_dict[name]) != second.shape[1]
    ]


def _needed(depth: int) -> list[str]:
    """List the keys that a ViT of some depth needs."""
    top = [name for name in _TOP.values() if name != 'cls_token']
    return top + [
        f'layers.{index}.{module}.{kind}'
        for index in range(depth)
        for module in _BLOCK.values()
        for kind in ('weight', 'bias')
    ]


def _fill_biases(renamed: dict[str, Tensor], depth: int, notes: list[str]) -> None:
    """Write zeros for the biases that a ViT may have been built without, in place."""
    stems = ['patch_embed.projection', *(f'layers.{index}.attn.qkv' for index in range(depth))]
    filled = []
    for stem in stems:
        weight = renamed.get(f'{stem}.weight')
        if weight is not None and f'{stem}.bias' not in renamed:
            renamed[f'{stem}.bias'] = weight.new_zeros(len(weight))
            filled.append(f'{stem}.bias')
    if filled:
        notes.append(f'wrote zeros for biases that the model has not: {_few(filled)}')


def _few(names: Iterable[str], most: int = 8) -> str:
    """List at most some names, and the number of the others."""
    names = sorted(names)
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


FORMATS: dict[str, Callable[..., Converted]] = dict(
    official=convert_official, mae=convert_mae, timm=convert_timm
)


def detect_format(state_dict: Mapping[str, Tensor]) -> str:
    """Detect the format from the keys.

    Raises:
        KeyError: if it is none of ``FORMATS``.
    """
    names = [name.removeprefix('model.') for name in state_dict]
    if any(name.startswith('encoder.') or name.endswith('.attn.q_bias') for name in names):
        return 'official'
    if any(name.startswith('decoder_') for name in names) or 'mask_token' in names:
        return 'mae'
    if any(name.startswith('blocks.') for name in names):
        return 'timm'
    hint = ''
    if any(name.startswith(('backbone.layers.', 'layers.')) for name in names):
        hint = '; these are names of mmpretrain, which need no conversion'
    raise KeyError(
        f'keys: expected those of one of {sorted(FORMATS)}, found {_few(names, 5)}{hint}'
    )


def convert(
    state_dict: Mapping[str, Tensor],
    source: str = 'auto',
    img_size: int | None = 320,
    grid: Grid | None = None,
) -> Converted:
    """Convert a state dict to a backbone of ours.

    Args:
        state_dict: weights by name, without ``model`` around them.
        source: name of the format, one of ``FORMATS``, or ``'auto'``.
        img_size: side of the pre-training window in pixels, for positions that are not stored.
        grid: numbers of rows and columns of the positions; None assumes a square.

    Returns:
        Converted backbone.

    Raises:
        KeyError: if the format is unknown, or keys are missing or do not belong to a plain ViT.
        ValueError: if positions do not fit the image.
    """
    if source == 'auto':
        source = detect_format(state_dict)
    if source not in FORMATS:
        raise KeyError(f'source: expected one of {sorted(FORMATS)} or auto, found {source!r}')
    return FORMATS[source](state_dict, img_size=img_size, grid=grid)
