"""Facts of a checkpoint about its encoder: config, normalization, untrained weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import Tensor, nn

import mssdf.models  # noqa: F401  (a config may name its backbone without the scope)
from mssdf.checkpoints.stored_config import stored_config
from mssdf.errors import CheckpointError, FileError, one_line
from mssdf.utils.randomness import preserved_rng

from .known_parts import encoder_config


def config_of(
    checkpoint: Mapping[str, Any], path: str | Path, config: str | Path | None = None
) -> Config:
    """Return the config of a model: the given file, or the one stored in the checkpoint.

    A stored config is read as data; its code is not run.

    Args:
        checkpoint: content of the checkpoint.
        path: path of the checkpoint, for the error.
        config: path of a config file; None takes the stored config.

    Raises:
        ValueError: if no config is given and the checkpoint stores none.
        CheckpointError: if the stored config is not plain data, or names anything but parts of
            encoders.
    """
    if config:
        return Config.fromfile(config)
    stored = stored_config(checkpoint, path)
    if stored is None:
        raise FileError(path, 'a config', note='give one with --config')
    return Config(encoder_config(stored, path))


def normalization_of(
    state: Mapping[str, Any], modality: str = 'rgb'
) -> tuple[Tensor, Tensor] | None:
    """Return the mean and deviation of a modality's bands; None if they are not stored.

    Args:
        state: weights of the whole model, with the buffers of its data preprocessor.
        modality: name of the modality; ``'rgb'`` also finds those of an algorithm with one input.
    """
    for end in (f'_{modality}', '') if modality == 'rgb' else (f'_{modality}',):
        mean, std = (state.get(f'data_preprocessor.{name}{end}') for name in ('mean', 'std'))
        if mean is not None and std is not None:
            return mean.flatten(), std.flatten()
    return None


def build_initialized(
    config: Config, *parts: Mapping[str, Any], path: str | Path
) -> list[nn.Module]:
    """Build parts of a model, initialized as for training from scratch with the config's seed.

    Args:
        config: config of the run.
        *parts: configs of the parts.
        path: path of the checkpoint, for the error.

    Raises:
        CheckpointError: if the settings of a part do not fit its class or each other.
    """
    MMLogger.get_current_instance().setLevel('WARNING')  # else the log has a line for every weight
    scope = config.get('default_scope') or 'mmpretrain'
    seed = config.get('randomness', {}).get('seed') or 0
    # The scope holds here alone, as later parts may come from another package.
    with DefaultScope.overwrite_default_scope(scope), preserved_rng(seed):
        try:
            modules = [MODELS.build(part) for part in parts]
            for module in modules:
                module.init_weights()
        except Exception as error:  # a class may raise any type for settings from a file
            reason = f'{type(error).__name__}: {one_line(error)}'
            raise CheckpointError(
                path, f'meta.cfg: expected an encoder that can be built, found {reason}'
            ) from error
    return modules
