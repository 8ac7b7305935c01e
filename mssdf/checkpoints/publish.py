"""Reduction of a training checkpoint to what others use."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mssdf.errors import CheckpointError
from mssdf.version import __version__

from .safe_load import weights_of
from .stored_config import PUBLISHED, parse_config, publishable_config

# The encoder, the patch embeddings of other modalities, and the normalization of the inputs.
KEPT = ('backbone.', 'embedding.', 'data_preprocessor.')
TEACHER = 'teacher.'
META = ('dataset_meta', 'epoch', 'iter', 'seed', 'mmengine_version')


def publish(
    content: Mapping[str, Any], path: str | Path = '', keep_decoders: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Reduce the content of a checkpoint to what others use.

    Args:
        content: content from :func:`~mssdf.checkpoints.read_checkpoint`.
        path: path of the checkpoint, for errors.
        keep_decoders: whether decoders and heads are kept too; the teacher never is.

    Returns:
        Content to publish, of plain values and tensors only, and the names of everything left out.

    Raises:
        CheckpointError: if there is no backbone, or a weight is NaN.
    """
    weights = weights_of(content, path)
    kept = {
        name: value.detach().cpu().clone()
        for name, value in weights.items()
        if name.startswith(KEPT) or (keep_decoders and not name.startswith(TEACHER))
    }

    if not any(name.startswith('backbone.') for name in kept):
        raise CheckpointError(
            path, f'expected keys that start with backbone., found {list(weights)[:5]}'
        )
    broken = [name for name, value in kept.items() if value.isnan().any()]
    if broken:
        raise CheckpointError(path, f'expected numbers, found NaN in {broken[:5]}')

    given = content.get('meta')
    given = given if isinstance(given, Mapping) else {}
    meta = {key: given[key] for key in META if key in given and is_plain(given[key])}
    left_out = [name for name in weights if name not in kept]
    left_out += [f'meta.{key}' for key in given if key not in meta and key != 'cfg']

    if given.get('cfg'):
        try:
            config = parse_config(str(given['cfg']))
            meta['cfg'] = publishable_config(config)
            left_out += [f'meta.cfg.{key}' for key in config if key not in PUBLISHED]
        except ValueError as error:
            left_out.append(f'meta.cfg (expected literals, which are not run: {error})')

    if 'state_dict' in content or 'model' in content:
        left_out += [str(key) for key in content if key not in ('state_dict', 'model', 'meta')]
    return dict(meta=meta | dict(mssdf_version=__version__), state_dict=kept), left_out


def is_plain(value: Any) -> bool:
    """Tell whether a value is a tensor, a number, a string, None or plain containers of these."""
    if isinstance(value, Mapping):
        return type(value) is dict and all(map(is_plain, (*value, *value.values())))
    if isinstance(value, (list, tuple)):
        return type(value) in (list, tuple) and all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str) or type(value) is Tensor
