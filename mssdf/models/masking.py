"""Information-aware and cross-modal masking (method.md, sections 2 and 3), as pure functions.

Everything is batched over samples and patches, runs on the device of its input and draws from the
generator that it is given.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mssdf.errors import ConfigError

from .utils.draws import Source, exponential, uniform
from .utils.intensity import as_weight, scale_intensity, to_gray, zero_invalid

__all__ = [
    'information_score',
    'mask_across_modalities',
    'may_be_ragged',
    'over_pixels',
    'patch_mean',
    'sample_masks',
    'sampling_weights',
    'scale_intensity',
    'sobel_magnitude',
    'valid_patches',
]


def patch_mean(values: Tensor, patch_size: int) -> Tensor:
    """Average over patches.

    Args:
        values: values (B, H, W), float.
        patch_size: side p of a patch in pixels, which divides H and W.

    Returns:
        Means (B, H/p, W/p).
    """
    batch, height, width = values.shape
    p = patch_size
    # rows first: that sum runs over whole lines and is many times faster than both at once
    lines = values.reshape(batch, height // p, p, width).sum(dim=2)
    return lines.view(batch, height // p, width // p, p).sum(dim=3) / p**2


def over_pixels(per_patch: Tensor, patch_size: int) -> Tensor:
    """Spread the value (B, h, w) of each patch over its pixels: (B, h * p, w * p)."""
    lines = per_patch.repeat_interleave(patch_size, dim=2)
    return lines.repeat_interleave(patch_size, dim=1)


def _check_patches(height: int, width: int, patch_size: int) -> None:
    if patch_size < 2 or height % patch_size or width % patch_size:
        raise ConfigError(
            'patch_size',
            f'at least 2 and a divisor of the window of {height} x {width} pixels',
            patch_size,
        )


def sobel_magnitude(gray: Tensor, patch_size: int) -> Tensor:
    """Compute the magnitude of the 3 x 3 Sobel gradient, each patch with a reflect-101 border.

    With that border the difference across a patch's edge is zero, and the smoothing there takes
    the inner neighbor twice. That lets the whole image be filtered at once.

    Args:
        gray: values (B, H, W), float.
        patch_size: side of a patch in pixels.

    Returns:
        Magnitudes (B, H, W).
    """
    p = patch_size
    # (1, 2, 1) is (1, 1) twice; what is left unset here lies on the border of a patch, set below
    smooth, pairs = torch.empty_like(gray), gray[:, :-1] + gray[:, 1:]
    torch.add(pairs[:, :-1], pairs[:, 1:], out=smooth[:, 1:-1])
    torch.mul(pairs[:, 0::p], 2, out=smooth[:, 0::p])
    torch.mul(pairs[:, p - 2 :: p], 2, out=smooth[:, p - 1 :: p])
    gradient_x = torch.empty_like(gray)
    torch.sub(smooth[:, :, 2:], smooth[:, :, :-2], out=gradient_x[:, :, 1:-1])
    gradient_x[:, :, 0::p] = 0
    gradient_x[:, :, p - 1 :: p] = 0

    pairs = gray[:, :, :-1] + gray[:, :, 1:]
    torch.add(pairs[:, :, :-1], pairs[:, :, 1:], out=smooth[:, :, 1:-1])
    torch.mul(pairs[:, :, 0::p], 2, out=smooth[:, :, 0::p])
    torch.mul(pairs[:, :, p - 2 :: p], 2, out=smooth[:, :, p - 1 :: p])
    gradient_y = torch.empty_like(gray)
    torch.sub(smooth[:, 2:], smooth[:, :-2], out=gradient_y[:, 1:-1])
    gradient_y[:, 0::p] = 0
    gradient_y[:, p - 1 :: p] = 0
    return gradient_x.square_().addcmul_(gradient_y, gradient_y).sqrt_()


@torch.no_grad()
def information_score(
    image: Tensor,
    patch_size: int = 16,
    valid: Tensor | None = None,
    terms: Sequence[str] = ('gradient', 'variance'),
) -> Tensor:
    """Compute the score S_m of every patch: mean Sobel magnitude plus population variance.

    Source: method.md, section 2. Invalid pixels take the mean of their patch's valid ones, so
    that the edge of a hole is not an edge of the scene, and are left out of both terms.

    Args:
        image: intensities (B, C, H, W) in 0...255; bands are averaged to gray first.
        patch_size: side of a patch in pixels, which divides H and W.
        valid: mask (B, 1, H, W), true at pixels with data; None counts all pixels.
        terms: names of the terms to sum, of ``'gradient'`` and ``'variance'``.

    Returns:
        Scores (B, N), float32; 0 for a patch without valid pixels.

    Raises:
        ValueError: if the patch size does not divide the window or a term is unknown.
    """
    _check_patches(image.shape[-2], image.shape[-1], patch_size)
    unknown = set(terms) - {'gradient', 'variance'}
    if unknown or not terms:
        raise ConfigError('terms', "some of 'gradient' and 'variance'", list(terms))

    gray = to_gray(image)[:, 0]
    share = None
    if valid is not None:
        weight = as_weight(valid[:, 0])
        share = patch_mean(weight, patch_size).clamp(min=1e-6)
        gray = zero_invalid(gray.contiguous(), valid[:, 0])
    mean = patch_mean(gray, patch_size)
    if share is not None:
        mean = mean / share

    # around the patch's mean: squares keep their digits, and an invalid pixel at 0 is at the mean
    centered = gray - over_pixels(mean, patch_size)
    if share is not None:
        centered *= weight

    score = torch.zeros_like(mean)
    if 'variance' in terms:
        score += patch_mean(centered.square(), patch_size)
    if 'gradient' in terms:
        magnitude = sobel_magnitude(centered, patch_size)
        score += patch_mean(magnitude if share is None else magnitude.mul_(weight), patch_size)

    if share is not None:  # means over all pixels become means over the valid ones
        score = score / share
    return score.flatten(1)


def valid_patches(valid: Tensor, patch_size: int, max_invalid: float = 0.5) -> Tensor:
    """Find the patches that have data.

    Args:
        valid: mask (B, 1, H, W), true at pixels with data.
        patch_size: side of a patch in pixels.
        max_invalid: largest share of invalid pixels of a patch that still counts.

    Returns:
        Mask (B, N), true at patches with data.
    """
    _check_patches(valid.shape[-2], valid.shape[-1], patch_size)
    share = patch_mean(as_weight(valid[:, 0]), patch_size).flatten(1)
    return (share >= 1 - max_invalid) & (share > 0)


def sampling_weights(
    score: Tensor,
    valid: Tensor | None = None,
    quantiles: tuple[float, float] = (0.2, 0.8),
    weights: tuple[float, float, float] = (0.8, 0.5, 0.3),
) -> Tensor:
    """Weight w(q) the patches to be masked, flat regions more (method.md, section 2).

    Args:
        score: information scores (B, N).
        valid: mask (B, N) of the patches that quantiles are taken over; None takes all.
        quantiles: lower and upper quantile of a sample's scores, linearly interpolated.
        weights: weights below the lower, between, and above the upper quantile.

    Returns:
        Weights (B, N), float32.
    """
    if len(set(weights)) == 1:
        return torch.full_like(score, weights[0], dtype=torch.float32)

    known = score.float() if valid is None else score.float().masked_fill(~valid, torch.nan)
    # filled on the device: a copy from the host would wait for it
    levels = torch.stack([known.new_full((), level) for level in quantiles])
    low, high = torch.nanquantile(known, levels, dim=1, keepdim=True)
    weight = torch.full_like(known, weights[1])
    weight = weight.masked_fill(score < low, weights[0])
    return weight.masked_fill(score > high, weights[2])


@torch.no_grad()
def sample_masks(
    score: Tensor,
    num_masked: int,
    generator: Source = None,
    valid: Tensor | None = None,
    quantiles: tuple[float, float] = (0.2, 0.8),
    weights: tuple[float, float, float] = (0.8, 0.5, 0.3),
) -> Tensor:
    """Draw the masked patches of one modality without replacement, probability ~ w(q).

    Successive sampling: the smallest of E / w with E exponential are those that a sequential
    draw would take (the Gumbel-top-k trick on log w). Invalid patches are masked before any
    other and count towards ``num_masked``; only a sample with more of them has more masked.

    Args:
        score: information scores (B, N).
        num_masked: number of masked patches of every sample, 0...N.
        generator: source of randomness, on the device of ``score``.
        valid: mask (B, N), true at patches with data; None counts all patches.
        quantiles: quantiles of the scores, see :func:`sampling_weights`.
        weights: weights between the quantiles, see :func:`sampling_weights`; equal ones give
            uniformly random masks.

    Returns:
        Mask (B, N), true where masked.

    Raises:
        ValueError: if ``num_masked`` is outside 0...N.
    """
    num_patches = score.shape[1]
    if not 0 <= num_masked <= num_patches:
        raise ConfigError('num_masked', f'a number within 0...{num_patches}', num_masked)

    weight = sampling_weights(score, valid, quantiles, weights)
    order = exponential(tuple(weight.shape), weight.device, generator) / weight
    if valid is not None:
        order = order.masked_fill(~valid, -1.0)
    chosen = order.topk(num_masked, dim=1, largest=False).indices
    masks = torch.zeros_like(score, dtype=torch.bool).scatter_(1, chosen, True)
    return masks if valid is None else masks | ~valid


@torch.no_grad()
def mask_across_modalities(
    masks: Tensor,
    target: Tensor,
    ratio: float,
    generator: Source = None,
    valid: Tensor | None = None,
    complementary: bool = False,
) -> Tensor:
    """Hide more of one modality, so that it must be inferred from the others (method.md, sec. 3).

    A sample without another visible modality keeps its masks: there is nothing to infer from. A
    sample may end with fewer visible patches of the target than its neighbors: see
    :func:`may_be_ragged`.

    Args:
        masks: masks (M, B, N), true where masked.
        target: index (B,) of each sample's target modality.
        ratio: share p of the target's visible patches that become masked, rounded: first those
            whose location is visible in another modality, then any.
        generator: source of randomness, on the device of ``masks``.
        valid: masks (M, B, N), true at patches with data; None counts all patches.
        complementary: whether as many masked, valid patches of the target become visible, first
            where every other modality is hidden, so that the target keeps its number of visible
            patches.

    Returns:
        Masks (M, B, N), changed in the target modality alone.
    """
    if ratio == 0:
        return masks

    index = target.view(1, -1, 1).expand(1, *masks.shape[1:])  # (1, B, N)
    own = masks.gather(0, index)[0]  # (B, N)
    is_target = torch.zeros_like(masks).scatter_(0, index, True)

    # a sample without another visible modality has nothing to infer from
    seen_elsewhere = (~masks & ~is_target).any(dim=0)
    several = seen_elsewhere.any(dim=1, keepdim=True)
    num_extra = (ratio * (~own).sum(dim=1, keepdim=True).double()).round() * several  # (B, 1)

    def take(first: Tensor, eligible: Tensor, count: Tensor) -> Tensor:
        """Draw ``count`` (B, 1) eligible patches of each sample, those of ``first`` before others.

        Fewer where fewer are eligible.
        """
        noise = uniform(tuple(own.shape), own.device, generator)
        order = (noise + (~first).float()).masked_fill(~eligible, torch.inf)
        rank = order.argsort(dim=1).argsort(dim=1)
        return eligible & (rank < count)

    hidden = take(seen_elsewhere, ~own, num_extra)
    changed = own | hidden
    if complementary:
        eligible = own if valid is None else own & valid.gather(0, index)[0]
        changed &= ~take(~seen_elsewhere, eligible, num_extra)
    return masks.scatter(0, index, changed.unsqueeze(0))


def may_be_ragged(
    valid: dict[str, Tensor],
    target: str,
    num_visible: int,
    num_extra: int,
    complementary: bool = False,
    alone: Tensor | None = None,
) -> dict[str, bool]:
    """Find the modalities whose visible patches differ in number after cross-modal masking.

    It needs the validity alone, so that the host can tell before the batch is copied.

    Args:
        valid: mask (B, N) of each modality, true at patches with data.
        target: modality of which more is hidden, or ``'random'``.
        num_visible: number of visible patches before cross-modal masking.
        num_extra: number of patches that it hides of a window without holes.
        complementary: whether as many other patches become visible.
        alone: mask (B,) of windows in which the target may be the only visible modality; None
            takes those without data of another.

    Returns:
        True for each modality of which some sample may have another number of visible patches
        than most.
    """
    present = torch.stack([known.any(dim=1) for known in valid.values()])  # (M, B)
    several = present.sum(dim=0) > 1
    alone = ~several if alone is None else alone
    ragged = {}

    for name, known in valid.items():
        counts = known.sum(dim=1)
        uneven = counts < num_visible
        if num_extra and target in (name, 'random'):
            if complementary:  # too few hidden, valid patches to show instead
                uneven = uneven | (several & (counts < num_visible + num_extra))
            elif target == 'random':
                uneven = uneven | several
            else:
                uneven = uneven | alone
        ragged[name] = bool(uneven.any())
    return ragged
