"""L_pix: predicted against true pixels of masked patches (method.md, section 6)."""

import torch
from torch import Tensor

from .reduction import masked_mean


def patchify(image: Tensor, patch_size: int) -> Tensor:
    """Cut (B, C, H, W) into patches (B, N, p * p, C) in raster order."""
    batch, bands, height, width = image.shape
    p = patch_size
    patches = image.reshape(batch, bands, height // p, p, width // p, p)
    return patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, p * p, bands)


def normalised_patches(
    image: Tensor, valid: Tensor, patch_size: int, floor: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """Patches less their own mean, over their own standard deviation, over valid pixels.

    Args:
        image: (B, C, H, W).
        valid: (B, 1, H, W) bool.
        patch_size: side of a patch in pixels.
        floor: smallest deviation to divide by, in the unit of ``image``: below it a patch counts
            as flat, and its noise is not blown up.

    Returns:
        (B, N, p * p, C) targets and (B, N, p * p, 1) bool.
    """
    patches = patchify(image.float(), patch_size)
    weight = patchify(valid, patch_size)
    count = (weight.sum(dim=2, keepdim=True) * patches.shape[-1]).clamp(min=1)
    mean = (patches * weight).sum(dim=(2, 3), keepdim=True) / count
    centred = (patches - mean) * weight
    variance = centred.square().sum(dim=(2, 3), keepdim=True) / count
    return centred / variance.clamp(min=floor**2).sqrt(), weight


def masked_pixel_loss(
    predicted: Tensor,
    image: Tensor,
    valid: Tensor,
    mask: Tensor,
    patch_size: int,
    floor: float = 1e-3,
) -> Tensor:
    """Squared error per window, averaged over the valid pixels of each masked, valid patch.

    Args:
        predicted: (B, N, p * p * C).
        image: (B, C, H, W).
        valid: (B, 1, H, W) bool.
        mask: (B, N) bool, true at masked, valid patches.
        patch_size: side of a patch in pixels.
        floor: see :func:`normalised_patches`.

    Returns:
        (B,) float32; 0 for a window without such patches.
    """
    with torch.no_grad():
        target, pixel_valid = normalised_patches(image, valid, patch_size, floor)
    error = (predicted.float().view_as(target) - target).square().mean(dim=-1)  # (B, N, p * p)
    return masked_mean(masked_mean(error, pixel_valid.squeeze(-1)), mask)
