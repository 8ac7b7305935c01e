"""Pre-trained encoder as a frozen plain ViT, in the form that users get."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmpretrain.models import VisionTransformer
from torch import Tensor, nn

from mssdf.errors import ConfigError, Words

POOLS = ('mean', 'cls')


def plain_vit(
    backbone: nn.Module,
    settings: Mapping | None = None,
    kind: type[Any] = VisionTransformer,
) -> Any:
    """Build mmpretrain's plain VisionTransformer with a backbone's weights, loaded strictly.

    Args:
        backbone: backbone of any subclass (``MaskedVisionTransformer``, mmpretrain's ``MAEViT``).
        settings: config that the backbone was built from, for what its weights do not determine.
        kind: class to build, with the parameters of mmpretrain's VisionTransformer.

    Returns:
        Frozen encoder in eval mode, on the backbone's device.

    Raises:
        ConfigError: if the backbone is not a VisionTransformer.
        RuntimeError: if a key is missing or unexpected.
    """
    if not isinstance(backbone, VisionTransformer):
        raise ConfigError(
            'backbone',
            "a subclass of mmpretrain's VisionTransformer",
            Words(type(backbone).__name__),
        )

    known = inspect.signature(VisionTransformer.__init__).parameters
    taken = {key: value for key, value in (settings or {}).items() if key in known}
    projection = backbone.patch_embed.projection
    taken |= dict(
        arch=dict(backbone.arch_settings),
        img_size=backbone.img_size,
        patch_size=projection.kernel_size[0],
        in_channels=projection.in_channels,
        out_type='raw',
        out_indices=-1,
        init_cfg=None,
    )

    vit = kind(**taken)
    vit.load_state_dict(backbone.state_dict(), strict=True)
    vit.eval()  # returns None in mmpretrain, so it cannot be chained
    return vit.requires_grad_(False).to(projection.weight.device)


@torch.no_grad()
def extract_features(
    encoder: VisionTransformer,
    images: Tensor,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    pool: str = 'mean',
    batch_size: int = 64,
) -> np.ndarray:
    """Compute one feature vector per image.

    Args:
        encoder: encoder from :func:`plain_vit`.
        images: images (N, 3, S, S) as in the files.
        mean: mean of each band in the images' unit.
        std: standard deviation of each band in the images' unit.
        pool: pooling of the features, ``'mean'`` over the patch tokens or ``'cls'``.
        batch_size: number of images per forward pass.

    Returns:
        Features (N, d) float32.

    Raises:
        ValueError: if ``pool`` is another word, or mean and std do not fit the images.
    """
    if pool not in POOLS:
        raise ConfigError('pool', f'one of {POOLS}', pool)
    device = next(encoder.parameters()).device
    mean, std = (
        torch.as_tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)
        for values in (mean, std)
    )
    if not len(mean) == len(std) == images.shape[1]:
        raise ValueError(
            f'mean and std: expected {images.shape[1]} numbers each (bands of the images), '
            f'found {len(mean)} and {len(std)}'
        )
    features = []
    for batch in images.split(batch_size):
        tokens = encoder((batch.to(device).float() - mean) / std)[-1]  # (B, 1 + N, D)
        extra = encoder.num_extra_tokens
        features.append(tokens[:, extra:].mean(dim=1) if pool == 'mean' else tokens[:, 0])
    return torch.cat(features).float().cpu().numpy()
