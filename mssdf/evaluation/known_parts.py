"""Parts of a model that the config in a checkpoint may name."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine.registry import MODELS, Registry

from mssdf.checkpoints.stored_config import (
    LIBRARIES,
    RANDOM_INITIALIZERS,
    foreign_scopes,
    names_of,
    seed_of,
    without_files,
)
from mssdf.errors import CheckpointError

# Other names are refused, as MMEngine imports whatever they lead to and calls it.
NAME = re.compile(rf'(?:({"|".join(LIBRARIES)})\.)?([A-Za-z_]\w*)', re.ASCII)
# Modules of encoders and their base classes, and of their layers; none of them opens a file.
ENCODERS = re.compile(r'mssdf\.models\.(backbones|embeddings)\b|mm\w+\.models\.backbones\.')
LAYERS = re.compile(
    r'torch\.nn\.|mmcv\.(cnn|ops)\.|mmengine\.utils\.dl_utils\.|'
    r'mmpretrain\.models\.utils\.(attention|norm)\b|mmdet\.models\.layers\.'
)
OPENING_FILES = re.compile(r'mm\w+\.models\.backbones\.(timm_backbone|vpd)\b')
PADDING = ('zeros', 'circular')  # PyTorch's own padding modes, which no registry looks up
BUILT = ('backbone', 'embedding')
READ = ('primary', 'data_preprocessor')


def encoder_config(config: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Reduce a checkpoint's config to the parts of an encoder, and check them.

    Args:
        config: config as plain data.
        path: path of the checkpoint, for errors.

    Raises:
        CheckpointError: if it has no backbone, or names anything but parts of encoders.
    """
    model = config.get('model')
    if not isinstance(model, Mapping) or not isinstance(model.get('backbone'), Mapping):
        raise CheckpointError(path, 'meta.cfg: expected a config with a model.backbone, found none')

    scope = config.get('default_scope') or 'mmpretrain'
    if scope not in LIBRARIES:
        raise CheckpointError(
            path,
            f'meta.cfg: default_scope: expected one of {", ".join(LIBRARIES)}, found {scope!r}',
        )

    # Only names of known classes are built: a registry would import and call any other.
    parts = {key: without_files(model[key]) for key in BUILT if model.get(key)}
    for key, part in parts.items():
        for name in foreign_scopes(part):
            raise CheckpointError(
                path,
                f'meta.cfg: model.{key}: expected a _scope_ of {", ".join(LIBRARIES)}, found '
                f'{name[:80]!r}',
            )
        for name, inner in names_of(part, scope):
            if not _is_known(name, inner):
                raise CheckpointError(
                    path,
                    f'meta.cfg: model.{key}: expected registered parts of encoders, found '
                    f'{name[:80]!r}; of a config that you trust: --config',
                )

    parts |= {key: model[key] for key in READ if key in model}
    return dict(model=parts, default_scope=scope, randomness=seed_of(config))


def _is_known(name: str, scope: str) -> bool:
    """Tell whether a name stands for a part of encoders in a library."""
    if name in RANDOM_INITIALIZERS or name in PADDING:
        return True
    match = NAME.fullmatch(name)
    if match is None:
        return False
    for registry in _registries(match[1] or scope):
        found = registry.module_dict.get(match[2])
        if found is not None:
            return _is_part(found)
    return False


def _is_part(found: Any) -> bool:
    """Tell whether a class belongs to encoders or their layers, and opens no file."""
    modules = [base.__module__ for base in getattr(found, '__mro__', ())]
    return not any(map(OPENING_FILES.match, modules)) and (
        any(map(ENCODERS.match, modules)) or LAYERS.match(found.__module__) is not None
    )


def _registries(scope: str) -> Iterator[Registry]:
    """Yield the library's registry of models, then MMEngine's, to which it falls back."""
    try:
        import_module(f'{scope}.registry')
    except ImportError:
        pass  # the library is not installed
    for registry in (MODELS.children.get(scope), MODELS):
        if registry is not None:
            registry.import_from_location()
            yield registry
