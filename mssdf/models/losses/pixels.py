"""L_pix: predicted against true pixels of masked patches (method.md, section 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import masked_mean

TARGETS = ('normalized', 'raw')


def patchify(image: Tensor, patch_size: int) -> Tensor:
    """Cut (B, C, H, W) into patches (B, N, p * p, C) in raster order."""
    batch, bands, height, width = image.shape
    p = patch_size
    patches = image.reshape(batch, bands, height // p, p, width // p, p)
    return patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, p * p, bands)


def normalized_patches(
    image: Tensor, valid: Tensor, patch_size: int, floor: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """Normalize each patch by the mean and the standard deviation of its valid pixels.

    Args:
        image: values (B, C, H, W).
        valid: mask (B, 1, H, W), true at pixels with data.
        patch_size: side of a patch in pixels.
        floor: smallest deviation to divide by, in the unit of ``image``: below it a patch counts
            as flat, and its noise is not blown up.

    Returns:
        Targets (B, N, p * p, C) and a mask (B, N, p * p, 1), true at pixels with data.
    """
    patches = patchify(image.float(), patch_size)
    weight = patchify(valid, patch_size)
    _, deviation, centered = _statistics(patches, weight, floor)
    return centered / deviation, weight


def unpatchify(patches: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """Put patches (B, N, p * p, C) in raster order together: (B, C, H, W)."""
    batch, bands, p = len(patches), patches.shape[-1], patch_size
    image = patches.reshape(batch, *grid, p, p, bands).permute(0, 5, 1, 3, 2, 4)
    return image.reshape(batch, bands, grid[0] * p, grid[1] * p)


@torch.no_grad()
def reconstruct(
    predicted: Tensor,
    image: Tensor,
    valid: Tensor,
    mask: Tensor,
    patch_size: int,
    floor: float = 1e-3,
    target: str = 'normalized',
) -> Tensor:
    """Put predicted pixels in the place of the masked patches, for pictures.

    Normalized patches get the true mean and deviation, as in MAE's pictures: they show what is
    predicted and nothing else.

    Args:
        predicted: predictions (B, N, p * p * C) of all patches.
        image: true values (B, C, H, W).
        valid: mask (B, 1, H, W), true at pixels with data.
        mask: mask (B, N), true at patches to replace.
        patch_size: side of a patch in pixels.
        floor: smallest deviation of a patch, see :func:`normalized_patches`.
        target: kind of what was predicted, see :func:`masked_pixel_loss`.

    Returns:
        Values (B, C, H, W), float32.
    """
    grid = (image.shape[-2] // patch_size, image.shape[-1] // patch_size)
    true = patchify(image.float(), patch_size)
    patches = predicted.float().view_as(true)
    if target == 'normalized':
        mean, deviation, _ = _statistics(true, patchify(valid, patch_size), floor)
        patches = patches * deviation + mean
    return unpatchify(torch.where(mask[..., None, None], patches, true), grid, patch_size)


def _statistics(patches: Tensor, weight: Tensor, floor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean and deviation of each patch's valid pixels, and the rest without the mean."""
    count = (weight.sum(dim=2, keepdim=True) * patches.shape[-1]).clamp(min=1)
    mean = (patches * weight).sum(dim=(2, 3), keepdim=True) / count
    centered = (patches - mean) * weight
    variance = centered.square().sum(dim=(2, 3), keepdim=True) / count
    return mean, variance.clamp(min=floor**2).sqrt(), centered


def raw_patches(image: Tensor, valid: Tensor, patch_size: int) -> tuple[Tensor, Tensor]:
    """Cut patches as they are.

    Args:
        image: values (B, C, H, W), normalized over the data set; a height is relative to its
            window's median, over its fixed scale.
        valid: mask (B, 1, H, W), true at pixels with data.
        patch_size: side of a patch in pixels.

    Returns:
        Targets (B, N, p * p, C), float32, 0 where invalid, and a mask (B, N, p * p, 1), true at
        pixels with data.
    """
    weight = patchify(valid, patch_size)
    return patchify(image.float(), patch_size).masked_fill(~weight, 0.0), weight


@torch.no_grad()
def patch_range(image: Tensor, valid: Tensor, patch_size: int) -> tuple[Tensor, Tensor]:
    """Find the lowest and highest valid value of each patch.

    Args:
        image: values (B, C, H, W).
        valid: mask (B, 1, H, W), true at pixels with data.
        patch_size: side of a patch in pixels.

    Returns:
        Lowest and highest values (B, N), float32; plus and minus infinity for a patch without
        valid pixels.
    """
    patches = patchify(image.float(), patch_size)
    weight = patchify(valid, patch_size)
    low = patches.masked_fill(~weight, torch.inf).flatten(2).amin(dim=2)
    return low, patches.masked_fill(~weight, -torch.inf).flatten(2).amax(dim=2)


def masked_pixel_loss(
    predicted: Tensor,
    image: Tensor,
    valid: Tensor,
    mask: Tensor,
    patch_size: int,
    floor: float = 1e-3,
    target: str = 'normalized',
    locations: Tensor | None = None,
) -> Tensor:
    """Average the error of each window over the valid pixels of its masked, valid patches.

    Args:
        predicted: predictions (B, Q, p * p * C).
        image: true values (B, C, H, W).
        valid: mask (B, 1, H, W), true at pixels with data.
        mask: mask (B, Q), true at predictions of masked, valid patches.
        patch_size: side of a patch in pixels.
        floor: smallest deviation of a patch, see :func:`normalized_patches`.
        target: ``'normalized'`` for the squared error of patches normalized by their own mean and
            deviation, or ``'raw'`` for the smooth L1 error of patches as they are: heights, whose
            size means something.
        locations: indices (B, Q) of the predicted patches; None stands for all N in raster order.

    Returns:
        Mean error of each window (B,), float32; 0 for a window without such patches.
    """
    with torch.no_grad():
        if target == 'raw':
            patches, pixel_valid = raw_patches(image, valid, patch_size)
        else:
            patches, pixel_valid = normalized_patches(image, valid, patch_size, floor)
        if locations is not None:
            index = locations[:, :, None, None]
            patches = patches.gather(1, index.expand(-1, -1, *patches.shape[2:]))
            pixel_valid = pixel_valid.gather(1, index.expand(-1, -1, *pixel_valid.shape[2:]))

    difference = predicted.float().view_as(patches) - patches
    if target == 'raw':
        error = F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction='none')
    else:
        error = difference.square()
    error = error.mean(dim=-1)  # (B, Q, p * p)
    return masked_mean(masked_mean(error, pixel_valid.squeeze(-1)), mask)
