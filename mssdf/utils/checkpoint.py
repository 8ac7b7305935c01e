"""Loading backbones whole, with a report."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from .reading import CheckpointError, read_checkpoint, read_state_dict

__all__ = [
    'CheckpointError',
    'LoadReport',
    'load_pretrained',
    'read_checkpoint',
    'read_state_dict',
]

MAX_NAMES = 12  # names of keys that a report lists


@dataclass
class LoadReport:
    """What became of the keys of a checkpoint and of a model.

    Attributes:
        checkpoint: the file.
        loaded: keys taken as they are.
        resized: position embeddings brought to another grid, with both shapes.
        mismatched: keys of another shape, with both shapes.
        missing: keys of the model that the checkpoint lacks, with their shapes.
        unexpected: keys of the checkpoint, under the prefix, that the model lacks, with their
            shapes.
        allowed: missing and unexpected keys that the caller said may be so.
    """

    checkpoint: str
    loaded: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every key of the model was filled and none was left over."""
        return not (self.mismatched or self.missing or self.unexpected)

    def __str__(self) -> str:
        """Counts in the first line, then the keys that are not simply loaded."""
        names = ('loaded', 'resized', 'mismatched', 'missing', 'unexpected', 'allowed')
        counts = ', '.join(f'{len(getattr(self, name))} {name}' for name in names[:-1])
        lines = [f'{self.checkpoint}: {counts}']
        for name in names[1:]:
            keys = getattr(self, name)
            if keys:
                more = f', and {len(keys) - MAX_NAMES} more' if len(keys) > MAX_NAMES else ''
                lines.append(f'  {name}: {", ".join(keys[:MAX_NAMES])}{more}')
        return '\n'.join(lines)


def load_pretrained(
    model: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str = 'backbone.',
    strict: bool = True,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> LoadReport:
    """Load a backbone and say what was loaded.

    A position embedding for another square grid is resized by the model itself (mmpretrain's
    VisionTransformer does so on loading) and counts as resized.

    Args:
        model: the backbone to fill, such as mmpretrain's VisionTransformer, or a model with one
            as its ``backbone``.
        checkpoint: file to read; nothing in it is run.
        prefix: what the backbone's keys start with in the file; ``''`` for a bare state dict.
        strict: raise unless every key of the backbone is filled and none under the prefix is
            left.
        allow_missing: beginnings of keys that the checkpoint may lack, such as ``'ln2.'`` for
            ``out_type='avg_featmap'``.
        allow_unexpected: beginnings of keys that may be left over, such as ``'ln1.'`` for
            ``final_norm=False``.

    Returns:
        The report.

    Raises:
        CheckpointError: if the file cannot be read or holds NaN; with the report, if the backbone
            is not loaded whole and ``strict``. The model is then as it was.
    """
    backbone = getattr(model, 'backbone', None)
    if isinstance(backbone, nn.Module):
        model = backbone
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    state_dict = {
        name.removeprefix(prefix): value
        for name, value in read_state_dict(checkpoint).items()
        if name.startswith(prefix)
    }
    hint = '' if state_dict else f"no key in the file starts with '{prefix}'"
    return fill(model, state_dict, checkpoint, strict, allow_missing, allow_unexpected, hint)


def fill(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    checkpoint: str | os.PathLike = '',
    strict: bool = True,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
    hint: str = '',
) -> LoadReport:
    """Load a state dict that was read from a checkpoint; see :func:`load_pretrained`."""
    report = compare(model, state_dict, checkpoint, allow_missing, allow_unexpected)
    if strict and not report.whole:
        reason = f'; {hint}' if hint else ''
        raise CheckpointError(f'the backbone is not loaded whole{reason}:\n{report}')
    fitting = {*report.loaded, *(line.split()[0] for line in report.resized)}
    broken = sorted(name for name in fitting if state_dict[name].isnan().any())
    if broken:
        raise CheckpointError(f'{checkpoint}: expected numbers, found NaN in {broken[:MAX_NAMES]}')
    model.load_state_dict({name: state_dict[name] for name in fitting}, strict=False)
    return report


def compare(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    checkpoint: str | os.PathLike = '',
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> LoadReport:
    """Say what of a state dict would load into a model; see :func:`load_pretrained`."""
    own = model.state_dict()
    report = LoadReport(str(checkpoint))
    may_lack, may_leave = _beginnings(allow_missing), _beginnings(allow_unexpected)
    for name in own.keys() - state_dict.keys():
        names = report.allowed if name.startswith(may_lack) else report.missing
        names.append(f'{name} (expected {tuple(own[name].shape)})')
    for name in state_dict.keys() - own.keys():
        names = report.allowed if name.startswith(may_leave) else report.unexpected
        names.append(f'{name} (found {tuple(state_dict[name].shape)})')
    for name in own.keys() & state_dict.keys():
        found, expected = tuple(state_dict[name].shape), tuple(own[name].shape)
        if found == expected:
            report.loaded.append(name)
        elif _resizes(model, name, found, expected):
            report.resized.append(f'{name} {found} -> {expected}')
        else:
            report.mismatched.append(f'{name} (expected {expected}, found {found})')
    for key in ('loaded', 'resized', 'mismatched', 'missing', 'unexpected', 'allowed'):
        getattr(report, key).sort()
    return report


def _beginnings(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _resizes(
    model: nn.Module, name: str, found: tuple[int, ...], expected: tuple[int, ...]
) -> bool:
    """Whether a key is a position embedding that mmpretrain's ViT resizes on loading."""
    stem, _, last = name.rpartition('.')
    owner: Any = model.get_submodule(stem)
    if last != 'pos_embed' or not hasattr(owner, '_prepare_pos_embed'):
        return False
    num_patches = found[1] - owner.num_extra_tokens if len(found) == len(expected) == 3 else 0
    square = num_patches > 0 and math.isqrt(num_patches) ** 2 == num_patches
    return square and (found[0], found[2]) == (expected[0], expected[2])
