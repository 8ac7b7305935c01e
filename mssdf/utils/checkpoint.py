"""Reading checkpoints safely and loading backbones whole."""

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mssdf.registry import WEIGHT_INITIALIZERS

MAX_NAMES = 12  # names of keys that a report lists


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, or does not fill the model."""


class _Ignored:
    """Stands for what MMEngine's checkpoints hold beside weights: nothing of it is run."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# MMEngine's message hub keeps log buffers; they pickle these. All become inert objects.
_BESIDE_WEIGHTS = (
    'mmengine.logging.history_buffer.HistoryBuffer',
    'numpy._core.multiarray.scalar',
    'numpy._core.multiarray._reconstruct',
    'numpy.core.multiarray.scalar',
    'numpy.core.multiarray._reconstruct',
    'numpy.ndarray',
    'numpy.dtype',
    'builtins.getattr',
)


def read_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint to the CPU without running anything that it contains.

    Args:
        path: file of MMEngine, of this project, timm, MAE or the paper.

    Returns:
        The dictionary in the file; log buffers of MMEngine are replaced by inert objects.

    Raises:
        CheckpointError: if the file is missing, torn, not a checkpoint, or holds objects other
            than tensors and plain containers.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'checkpoint: no file {path}')
    stand_ins: list[Callable | tuple[Callable, str]] = [
        (_Ignored, name) for name in _BESIDE_WEIGHTS
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if 'GLOBAL' in line), str(error))
        raise CheckpointError(
            f'checkpoint: {path} holds more than tensors and plain containers and was not '
            f'loaded: {reason.strip()[:300]}'
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise CheckpointError(f'checkpoint: {path} is torn or no checkpoint: {lines[0]}') from None
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f'checkpoint: {path} holds a {type(content).__name__}, expected a dictionary'
        )
    return dict(content)


def read_state_dict(path: str | os.PathLike) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, under ``state_dict``, ``model`` or at its top.

    Raises:
        CheckpointError: see :func:`read_checkpoint`; also if there are no tensors.
    """
    content: Mapping = read_checkpoint(path)
    for key in ('state_dict', 'model'):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    weights = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not weights:
        raise CheckpointError(f'checkpoint: {path} holds no weights, found {list(content)[:5]}')
    return {name.removeprefix('module.'): value for name, value in weights.items()}


@dataclass
class LoadReport:
    """What became of the keys of a checkpoint and of a model.

    Attributes:
        checkpoint: the file.
        loaded: keys taken as they are.
        resized: position embeddings brought to another grid, with both shapes.
        mismatched: keys of another shape, with both shapes.
        missing: keys of the model that the checkpoint lacks.
        unexpected: keys of the checkpoint, under the prefix, that the model lacks.
    """

    checkpoint: str
    loaded: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every key of the model was filled and none was left over."""
        return not (self.mismatched or self.missing or self.unexpected)

    def __str__(self) -> str:
        """Counts in the first line, then the keys that are not simply loaded."""
        names = ('loaded', 'resized', 'mismatched', 'missing', 'unexpected')
        counts = ', '.join(f'{len(getattr(self, name))} {name}' for name in names)
        lines = [f'{self.checkpoint}: {counts}']
        for name in names[1:]:
            keys = getattr(self, name)
            if keys:
                more = f', and {len(keys) - MAX_NAMES} more' if len(keys) > MAX_NAMES else ''
                lines.append(f'  {name}: {", ".join(keys[:MAX_NAMES])}{more}')
        return '\n'.join(lines)


def _under(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    return {
        name.removeprefix(prefix): value
        for name, value in state_dict.items()
        if name.startswith(prefix)
    }


def load_pretrained(
    model: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str = 'backbone.',
    strict: bool = True,
) -> LoadReport:
    """Load a backbone and say what was loaded.

    A position embedding for another grid is resized by the model itself (mmpretrain's
    VisionTransformer does so on loading) and counts as resized.

    Args:
        model: the module to fill, such as mmpretrain's VisionTransformer.
        checkpoint: file to read; nothing in it is run.
        prefix: what the backbone's keys start with in the file; '' for a bare state dict.
        strict: raise unless every key of the model is filled and none under the prefix is left.

    Returns:
        The report.

    Raises:
        CheckpointError: with the report, if the model is not loaded whole and ``strict``; the
            model is then as it was.
    """
    state_dict = _under(read_state_dict(checkpoint), prefix)
    own = model.state_dict()
    report = LoadReport(str(checkpoint))
    report.missing = [name for name in own if name not in state_dict]
    report.unexpected = [name for name in state_dict if name not in own]
    fitting: dict[str, Tensor] = {}
    for name in own.keys() & state_dict.keys():
        found, expected = tuple(state_dict[name].shape), tuple(own[name].shape)
        if found == expected:
            report.loaded.append(name)
        elif _is_position(name, found, expected):
            report.resized.append(f'{name} {found} -> {expected}')
        else:
            report.mismatched.append(f'{name} (expected {expected}, found {found})')
            continue
        fitting[name] = state_dict[name]
    for names in (report.loaded, report.resized, report.mismatched):
        names.sort()
    if strict and not report.whole:
        hint = '' if state_dict else f"; no key starts with '{prefix}'"
        raise CheckpointError(f'the backbone is not loaded whole{hint}:\n{report}')
    model.load_state_dict(fitting, strict=False)
    return report


def _is_position(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether two shapes are those of one position embedding at two grid sizes."""
    return (
        name.endswith('pos_embed')
        and len(found) == len(expected) == 3
        and found[0] == expected[0]
        and found[2] == expected[2]
    )


@WEIGHT_INITIALIZERS.register_module()
class StrictPretrained:
    """``init_cfg=dict(type='mssdf.StrictPretrained', checkpoint=PATH)``: all or an error.

    Args:
        checkpoint: file to read.
        prefix: what the backbone's keys start with in the file.
        map_location: taken for the sake of MMEngine's ``Pretrained``; weights go where the model
            is.
    """

    def __init__(
        self, checkpoint: str, prefix: str = 'backbone.', map_location: str | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix

    def __call__(self, module: nn.Module) -> None:
        """Load, and log the report."""
        report = load_pretrained(module, self.checkpoint, self.prefix)
        # MMEngine initialises the children after any initialiser but its own ``Pretrained``, and
        # mmpretrain's ViT its positions: both would undo what has just been loaded.
        for child in module.modules():
            setattr(child, 'is_init', True)  # noqa: B010  no attribute that nn.Module knows
        init_cfg = dict(type='Pretrained', checkpoint=self.checkpoint, prefix=self.prefix)
        setattr(module, 'init_cfg', init_cfg)  # noqa: B010
        print_log(str(report), logger='current')

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: load from {self.checkpoint}'
