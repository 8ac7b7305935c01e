"""Strict loading of backbones, with a report."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from mssdf.errors import CheckpointError

from .position_grid import Grid, position_owner, resized, source_grid, stored_grid
from .safe_load import read_checkpoint, read_state_dict, weights_of

__all__ = [
    'CheckpointError',
    'LoadReport',
    'load_pretrained',
    'read_checkpoint',
    'read_state_dict',
]

ALL_WEIGHTS = 'expected every weight of the model and no other'  # beginning of the errors
MAX_NAMES = 12  # largest number of keys that a report lists


class Entry(str):
    """A line of a report about one key, whose name it keeps.

    Args:
        name: name of the key.
        remark: remark that follows the name in the line.
    """

    name: str

    def __new__(cls, name: str, remark: str) -> 'Entry':
        """Put the line together."""
        entry = super().__new__(cls, name + remark)
        entry.name = name
        return entry


@dataclass
class LoadReport:
    """A report on the keys of a checkpoint and of a model.

    Attributes:
        checkpoint: path of the checkpoint.
        loaded: keys loaded unchanged.
        resized: position embeddings resized to another grid, with both shapes.
        mismatched: keys of different shapes, with both shapes.
        missing: keys of the model that are missing in the checkpoint, with their shapes.
        unexpected: keys of the checkpoint, under the prefix, that the model lacks, with their
            shapes.
        allowed: missing and unexpected keys that the caller allowed.
    """

    checkpoint: str
    loaded: list[str] = field(default_factory=list)
    resized: list[Entry] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Tell whether every key of the model was filled and none was left over."""
        return not (self.mismatched or self.missing or self.unexpected)

    @property
    def findings(self) -> str:
        """The counts and the keys that are not simply loaded, in one line for an error."""
        return '; '.join(self._parts())

    def __str__(self) -> str:
        """Format the counts on the first line, then the keys that are not simply loaded."""
        return f'{self.checkpoint}: ' + '\n  '.join(self._parts())

    def _parts(self) -> list[str]:
        names = ('loaded', 'resized', 'mismatched', 'missing', 'unexpected', 'allowed')
        parts = [', '.join(f'{len(getattr(self, name))} {name}' for name in names[:-1])]
        for name in names[1:]:
            keys = getattr(self, name)
            if keys:
                more = f', and {len(keys) - MAX_NAMES} more' if len(keys) > MAX_NAMES else ''
                parts.append(f'{name}: {", ".join(keys[:MAX_NAMES])}{more}')
        return parts


def load_pretrained(
    model: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str = 'backbone.',
    strict: bool = True,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> LoadReport:
    """Load a backbone and report on its keys.

    A position embedding for another square grid is resized by the model itself (mmpretrain's
    VisionTransformer does so on loading) and counts as resized.

    Args:
        model: backbone to fill, such as mmpretrain's VisionTransformer, or a model with one as its
            ``backbone``.
        checkpoint: path of the checkpoint, whose code is not run.
        prefix: prefix of the backbone's keys in the file; ``''`` for a bare state dict.
        strict: whether every key of the backbone must be filled and every key under the prefix
            used.
        allow_missing: prefixes of keys that the checkpoint may lack, such as ``'ln2.'`` for
            ``out_type='avg_featmap'``.
        allow_unexpected: prefixes of keys that may be left over, such as ``'ln1.'`` for
            ``final_norm=False``.

    Returns:
        Report on the keys.

    Raises:
        CheckpointError: if the file cannot be read or holds NaN, or, with the report, if ``strict``
            and the backbone is not filled completely. The model is then unchanged.
    """
    backbone = getattr(model, 'backbone', None)
    if isinstance(backbone, nn.Module):
        model = backbone
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    content = read_checkpoint(checkpoint)
    state_dict = {
        name.removeprefix(prefix): value
        for name, value in weights_of(content, checkpoint).items()
        if name.startswith(prefix)
    }
    hint = '' if state_dict else f"no key in the file starts with '{prefix}'"
    grid = stored_grid(content)
    return fill(model, state_dict, checkpoint, strict, allow_missing, allow_unexpected, hint, grid)


def fill(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    checkpoint: str | os.PathLike = '',
    strict: bool = True,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
    hint: str = '',
    grid: Grid | None = None,
) -> LoadReport:
    """Load a state dict that was read from a checkpoint; see :func:`load_pretrained`.

    Args:
        model: model to fill.
        state_dict: weights under the model's names.
        checkpoint: path of the checkpoint, for the report.
        strict: whether every key of the model must be filled and every weight used.
        allow_missing: prefixes of keys that the weights may lack.
        allow_unexpected: prefixes of keys that may be left over.
        hint: text that is added to the error.
        grid: numbers of rows and columns of the file's positions, where it stores them.

    Returns:
        Report on the keys.
    """
    report = compare(model, state_dict, checkpoint, allow_missing, allow_unexpected, grid)
    if strict and not report.complete:
        reason = f'; {hint}' if hint else ''
        raise CheckpointError(
            str(checkpoint) or 'the weights', f'{ALL_WEIGHTS}, found {report.findings}{reason}'
        )
    fitting = {*report.loaded, *(entry.name for entry in report.resized)}
    broken = sorted(name for name in fitting if state_dict[name].isnan().any())
    if broken:
        raise CheckpointError(checkpoint, f'expected numbers, found NaN in {broken[:MAX_NAMES]}')
    weights = {name: state_dict[name] for name in fitting}
    resize_positions(model, weights, report, grid)
    model.load_state_dict(weights, strict=False)
    return report


def resize_positions(
    model: nn.Module, weights: dict[str, Tensor], report: LoadReport, grid: Grid | None
) -> None:
    """Resize the position embeddings that a report names as resized, in place.

    mmpretrain's ViT takes every grid for a square, and one with as many patches for its own.
    """
    for name in (entry.name for entry in report.resized):
        weights[name] = resized(position_owner(model, name), weights[name], grid)


def compare(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    checkpoint: str | os.PathLike = '',
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
    grid: Grid | None = None,
) -> LoadReport:
    """Report on the keys of a state dict that :func:`fill` would load into a model.

    Args:
        model: model to compare with; it stays as it is.
        state_dict: weights under the model's names.
        checkpoint: path of the checkpoint, for the report.
        allow_missing: prefixes of keys that the weights may lack.
        allow_unexpected: prefixes of keys that may be left over.
        grid: numbers of rows and columns of the file's positions, where it stores them.

    Returns:
        Report on the keys.
    """
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
        owner = position_owner(model, name)
        if owner is not None and len(found) == 3 and found[::2] == expected[::2]:
            _compare_grids(report, name, found, expected, owner, grid)
        elif found == expected:
            report.loaded.append(name)
        else:
            report.mismatched.append(f'{name} (expected {expected}, found {found})')

    for key in ('loaded', 'resized', 'mismatched', 'missing', 'unexpected', 'allowed'):
        getattr(report, key).sort()
    return report


def _beginnings(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one or several prefixes as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)


def _compare_grids(
    report: LoadReport,
    name: str,
    found: tuple[int, ...],
    expected: tuple[int, ...],
    owner: Any,
    grid: Grid | None,
) -> None:
    """Report whether a position embedding is loaded, resized or mismatched."""
    source, target = source_grid(owner, found[1], grid), tuple(owner.patch_resolution)
    if source == target:
        report.loaded.append(name)
    elif source is not None:
        sides = (
            ''
            if source[0] == source[1] and target[0] == target[1]
            else (f', a grid of {source[0]} x {source[1]} -> {target[0]} x {target[1]}')
        )
        report.resized.append(Entry(name, f' {found} -> {expected}{sides}'))
    else:
        sides = f'{target[0]} x {target[1]}'
        told = 'the file does not tell the sides of its grid' if found == expected else ''
        report.mismatched.append(
            f'{name} (expected {expected}, found {found}'
            + (f'; {told}, expected {sides})' if told else ')')
        )
