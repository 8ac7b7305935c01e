"""Adaptation of a pre-training config to another encoder, window size and data set."""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmpretrain.models import VisionTransformer


def encoder_width(arch: str | Mapping[str, Any]) -> int:
    """Return the width of the tokens of one of mmpretrain's encoders.

    Raises:
        ValueError: if there is no such encoder.
    """
    if isinstance(arch, Mapping):
        return int(arch['embed_dims'])
    zoo = VisionTransformer.arch_zoo
    if arch not in zoo:
        raise ValueError(f'arch: expected one of {sorted(zoo)}, found {arch!r}')
    return int(zoo[arch]['embed_dims'])


def adapt_recipe(
    config: Config,
    arch: str | Mapping[str, Any] | None = None,
    img_size: int | None = None,
    statistics: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Adapt a recipe of ours or mmpretrain's MAE to an encoder, a window size and a data set.

    Dependent settings follow: the sizes of MAE's decoder, and the modalities that a model of one
    modality does not prepare. Decoders keep the width and depth of the config.

    Args:
        config: pre-training config, which stays unchanged.
        arch: name or settings of mmpretrain's ``VisionTransformer``; None keeps the config's.
        img_size: side of the windows in pixels; None keeps the config's.
        statistics: ``mean`` and ``std`` for the normalization of each measured modality; None keeps
            the config's.

    Returns:
        Adapted copy of the config.

    Raises:
        ValueError: if the encoder is unknown, or patches do not cover a window.
    """
    config = copy.deepcopy(config)
    model = config.model
    if arch is not None:
        model.backbone.arch = arch
    if img_size is not None:
        model.backbone.img_size = img_size
    _fit_neck(model)
    _fit_modalities(model, config.get('modalities'))
    for name, measured in (statistics or {}).items():
        settings = model.data_preprocessor.modalities.get(name)
        if settings is not None:
            settings.update(mean=list(measured['mean']), std=list(measured['std']))
    return config


def _fit_neck(model: ConfigDict) -> None:
    """Give MAE's decoder the width of the encoder and the number of its patches."""
    size, patch = int(model.backbone.img_size), int(model.backbone.get('patch_size', 16))
    if size % patch:
        raise ValueError(
            f'img_size: expected a multiple of the patch size {patch}, found {size} pixels'
        )
    neck = model.get('neck')
    if neck is not None and 'num_patches' in neck:
        width = encoder_width(model.backbone.arch)
        neck.update(num_patches=(size // patch) ** 2, patch_size=patch, embed_dim=width)


def _fit_modalities(model: ConfigDict, known: Mapping[str, Any] | None) -> None:
    """Keep only the modality of a model of one modality, as preparing others takes time."""
    preprocessor = model.data_preprocessor
    if 'modalities' not in preprocessor and known:
        preprocessor.modalities = copy.deepcopy(known)
    modality = preprocessor.get('modality')
    if modality in preprocessor.get('modalities', {}):
        preprocessor.modalities = ConfigDict({modality: preprocessor.modalities[modality]})
