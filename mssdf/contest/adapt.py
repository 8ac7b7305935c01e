"""A pre-training config brought to another encoder, window size and data."""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmpretrain.models import VisionTransformer


def encoder_width(arch: str | Mapping[str, Any]) -> int:
    """Width of the tokens of one of mmpretrain's encoders.

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
    """Bring a recipe of ours or mmpretrain's MAE to an encoder, a window size and a data set.

    What follows from them follows: the sizes of MAE's decoder, and the modalities that a model of
    one modality need not prepare. Decoders keep the width and depth that the config gives them.

    Args:
        config: pre-training config; it stays as it is.
        arch: name or settings of mmpretrain's ``VisionTransformer``; None keeps the config's.
        img_size: side of the windows in pixels; None keeps the config's.
        statistics: ``mean`` and ``std`` per modality to normalize with, where measured; None keeps
            the config's.

    Returns:
        Another config.

    Raises:
        ValueError: if the encoder is unknown or patches do not cover a window.
    """
    config = copy.deepcopy(config)
    model = config.model
    if arch is not None:
        model.backbone.arch = arch
    if img_size is not None:
        model.backbone.img_size = img_size
    _fit_neck(model)
    _fit_modalities(model, config.get('modality_statistics'))
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
    """Leave a model of one modality with that alone; preparing others would be lost time."""
    preprocessor = model.data_preprocessor
    if 'modalities' not in preprocessor and known:
        preprocessor.modalities = copy.deepcopy(known)
    modality = preprocessor.get('modality')
    if modality in preprocessor.get('modalities', {}):
        preprocessor.modalities = ConfigDict({modality: preprocessor.modalities[modality]})
