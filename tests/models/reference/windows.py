"""Sections 1 to 3: validity, normalization, score and masks of raw windows."""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

LARGEST_VALUE, LARGEST_DEVIATION = 1e15, 1e4

Windows = dict[str, NDArray]


class Draws:
    """The random numbers of a batch that was seeded.

    Args:
        seed: seed of the batch.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, *shape: int) -> NDArray:
        return torch.empty(shape).uniform_(generator=self.generator).numpy()

    def exponential(self, *shape: int) -> NDArray:
        return torch.empty(shape).exponential_(generator=self.generator).numpy()


@dataclass
class Recipe:
    """Settings of the masking, as a config has them.

    Attributes:
        modalities: ``mean``, ``std``, ``relative_to_median`` and ``min_span`` of each.
        p: share of the target's visible patches that cross-modal masking hides.
    """

    modalities: dict[str, dict]
    patch_size: int = 16
    mask_ratio: float = 0.75
    quantiles: tuple[float, float] = (0.2, 0.8)
    weights: tuple[float, float, float] = (0.8, 0.5, 0.3)
    score_terms: tuple[str, ...] = ('gradient', 'variance')
    max_invalid_per_patch: float = 0.5
    target: str | None = None
    complementary: bool = False
    same_masks: bool = False
    second_view: dict | None = None
    p: float = 0.0


@dataclass
class Batch:
    """Masked batch that the data preprocessor is to hand out, as arrays of the same shapes."""

    images: Windows
    pixel_valid: Windows
    patch_valid: Windows
    masks: Windows
    score: NDArray
    noise: NDArray
    grid: tuple[int, int]
    second: 'Batch | None' = field(default=None)


def patches_of(array: NDArray, patch_size: int) -> list[NDArray]:
    """Patches (C, p, p) of (C, H, W) in raster order."""
    p = patch_size
    return [
        array[:, row : row + p, col : col + p]
        for row in range(0, array.shape[1], p)
        for col in range(0, array.shape[2], p)
    ]


def known_pixels(image: NDArray, valid: NDArray) -> NDArray[np.bool_]:
    """Valid pixels (1, H, W) whose every band is finite and of a possible size."""
    with np.errstate(invalid='ignore'):
        possible = (np.abs(image.astype(np.float64)) <= LARGEST_VALUE).all(axis=0, keepdims=True)
    return valid & possible


def normalized(image: NDArray, known: NDArray, settings: dict) -> NDArray:
    """Normalize one window (C, H, W) band by band; 0 where it is not known."""
    values = np.where(known, image.astype(np.float64), 0.0)
    if settings.get('relative_to_median') and known.any():
        ordered = np.sort(values[np.broadcast_to(known, values.shape)])
        values = values - ordered[(len(ordered) - 1) // 2]
    out = np.zeros_like(values)
    for band in range(len(values)):
        scaled = (values[band] - settings['mean'][band]) / settings['std'][band]
        out[band] = np.clip(scaled, -LARGEST_DEVIATION, LARGEST_DEVIATION)
    return np.where(known, out, 0.0)


def patch_score(gray: NDArray, known: NDArray, terms: tuple[str, ...]) -> float:
    """Score of one patch (p, p): mean Sobel magnitude plus variance, of its known pixels."""
    if not known.any():
        return 0.0
    filled = np.where(known, gray, gray[known].mean())
    gx, gy = cv2.Sobel(filled, cv2.CV_64F, 1, 0), cv2.Sobel(filled, cv2.CV_64F, 0, 1)
    parts = dict(gradient=np.hypot(gx, gy)[known].mean(), variance=gray[known].var())
    return sum(parts[term] for term in terms)


def window_score(image: NDArray, known: NDArray, recipe: Recipe, min_span: float) -> NDArray:
    """Scores (N,) of one window of one modality, on intensities of 0...255."""
    gray = np.where(known[0], image.astype(np.float64).mean(axis=0), 0.0)
    if not known.any():
        return np.zeros(len(patches_of(known, recipe.patch_size)))
    low, high = np.percentile(gray[known[0]], [1, 99])
    span = max(high - low, min_span)
    scaled = np.clip((gray - low) * (255 / span if span else 0), 0, 255)
    pairs = zip(
        patches_of(scaled[None], recipe.patch_size),
        patches_of(known, recipe.patch_size),
        strict=True,
    )
    return np.array([patch_score(one[0], seen[0], recipe.score_terms) for one, seen in pairs])


def known_patches(known: NDArray, recipe: Recipe) -> NDArray[np.bool_]:
    """Patches (N,) of which not too much is invalid."""
    shares = np.array([one.mean() for one in patches_of(known, recipe.patch_size)])
    return (1 - shares <= recipe.max_invalid_per_patch) & (shares > 0)


def drawn_mask(score: NDArray, known: NDArray, recipe: Recipe, chance: NDArray) -> NDArray:
    """Hidden patches (N,): the least exponential numbers over their weights, holes first."""
    weights = np.full(len(score), recipe.weights[1])
    if known.any():
        low, high = np.quantile(score[known], recipe.quantiles)
        weights[score < low] = recipe.weights[0]
        weights[score > high] = recipe.weights[2]
    order = np.argsort(np.where(known, chance / weights, -1), kind='stable')
    mask = ~known
    mask[order[: int(recipe.mask_ratio * len(score))]] = True
    return mask


def first_of(eligible: NDArray, preferred: NDArray, chance: NDArray, count: int) -> list[int]:
    """Places of ``count`` eligible patches, the preferred ones before the others."""
    places = [place for place in range(len(eligible)) if eligible[place]]
    return sorted(places, key=lambda place: (not preferred[place], chance[place]))[:count]


def hide_across(masks: Windows, known: Windows, recipe: Recipe, draws: Draws) -> Windows:
    """Section 3: more of the target's patches become hidden."""
    names = list(masks)
    count, size = masks[names[0]].shape
    lots = draws.uniform(count, len(names)) if recipe.target == 'random' else None
    hiding = draws.uniform(count, size)
    showing = draws.uniform(count, size) if recipe.complementary else None
    changed = {name: mask.copy() for name, mask in masks.items()}
    for b in range(count):
        name = recipe.target
        if lots is not None:
            present = [i for i, one in enumerate(names) if known[one][b].any()] or [0]
            name = names[max(present, key=lambda i: lots[b, i])]
        elsewhere = np.zeros(size, dtype=bool)
        for other in names:
            if other != name:
                elsewhere |= ~masks[other][b]
        if not elsewhere.any():
            continue
        own = masks[name][b]
        extra = round(recipe.p * int((~own).sum()))
        changed[name][b, first_of(~own, elsewhere, hiding[b], extra)] = True
        if showing is not None:
            shown = first_of(own & known[name][b], ~elsewhere, showing[b], extra)
            changed[name][b, shown] = False
    return changed


def masks_of(score: NDArray, known: Windows, recipe: Recipe, draws: Draws) -> Windows:
    """Hidden patches (B, N) of each modality."""
    rows = range(len(score))
    if recipe.same_masks:
        chance = draws.exponential(*score.shape)
        anywhere = np.any(list(known.values()), axis=0)
        shared = [drawn_mask(score[b], anywhere[b], recipe, chance[b]) for b in rows]
        masks = {name: np.array(shared) | ~one for name, one in known.items()}
    else:
        masks = {}
        for name, one in known.items():
            chance = draws.exponential(*score.shape)
            masks[name] = np.array([drawn_mask(score[b], one[b], recipe, chance[b]) for b in rows])
    num_patches = score.shape[1]
    num_visible = num_patches - int(recipe.mask_ratio * num_patches)
    if recipe.target and round(recipe.p * num_visible):
        masks = hide_across(masks, known, recipe, draws)
    return masks


def view(raw: Windows, valid: Windows, recipe: Recipe, draws: Draws) -> Batch:
    """Everything about one view of raw windows."""
    pixel_valid = {
        name: np.array([known_pixels(*pair) for pair in zip(raw[name], valid[name], strict=True)])
        for name in recipe.modalities
    }
    patch_valid = {
        name: np.array([known_patches(one, recipe) for one in known])
        for name, known in pixel_valid.items()
    }
    score: NDArray = np.zeros(next(iter(patch_valid.values())).shape)
    images = {}
    for name, settings in recipe.modalities.items():
        pairs = list(zip(raw[name], pixel_valid[name], strict=True))
        images[name] = np.array([normalized(*pair, settings) for pair in pairs])
        for b, pair in enumerate(pairs):
            own = window_score(*pair, recipe, settings.get('min_span', 0.0))
            score[b] += np.where(patch_valid[name][b], own, 0.0)
    masks = masks_of(score, patch_valid, recipe, draws)
    height, width = next(iter(raw.values())).shape[-2:]
    grid = (height // recipe.patch_size, width // recipe.patch_size)
    noise = draws.uniform(*score.shape)
    return Batch(images, pixel_valid, patch_valid, masks, score, noise, grid)


def masked_batch(raw: Windows, valid: Windows, recipe: Recipe, seed: int) -> Batch:
    """Make of raw windows (B, C, H, W) and a seed what the data preprocessor is to make."""
    draws = Draws(seed)
    batch = view(raw, valid, recipe, draws)
    if recipe.second_view is None:
        return batch
    if recipe.second_view['kind'] == 'crop':
        cut = draws.uniform(len(batch.score), 6)
        parts, known = {}, {}
        for name in recipe.modalities:
            pairs = [
                crop(raw[name][b], batch.pixel_valid[name][b], cut[b], recipe.second_view['scale'])
                for b in range(len(cut))
            ]
            parts[name] = np.array([values for values, _ in pairs])
            known[name] = np.array([valid for _, valid in pairs])
        batch.second = view(parts, known, recipe, draws)
    else:
        masks = masks_of(batch.score, batch.patch_valid, recipe, draws)
        noise = draws.uniform(*batch.score.shape)
        batch.second = Batch(
            batch.images,
            batch.pixel_valid,
            batch.patch_valid,
            masks,
            batch.score,
            noise,
            batch.grid,
        )
    return batch


def crop(
    image: NDArray, known: NDArray, lots: NDArray, scale: tuple[float, float]
) -> tuple[NDArray, NDArray]:
    """A part of one window, turned upside down or not, flipped or not, at the window's size."""
    bands, rows, cols = image.shape
    assert rows != cols  # a square would be turned by quarters, too
    area = scale[0] + lots[0] * (scale[1] - scale[0])
    ratio = math.exp(math.log(3 / 4) + lots[1] * (math.log(4 / 3) - math.log(3 / 4)))
    height = min(1.0, math.sqrt(area * rows * cols / ratio) / rows)
    width = min(1.0, math.sqrt(area * rows * cols * ratio) / cols)
    top, left = lots[2] * (1 - height), lots[3] * (1 - width)
    upside_down, mirrored = lots[4] >= 0.5, lots[5] < 0.5
    values, valid = np.zeros(image.shape), np.zeros(known.shape, dtype=bool)
    for i in range(rows):
        for j in range(cols):
            y, x = (i + 0.5) / rows, (j + 0.5) / cols
            x = 1 - x if mirrored else x
            y, x = (1 - y, 1 - x) if upside_down else (y, x)
            y, x = (top + height * y) * rows - 0.5, (left + width * x) * cols - 0.5
            y, x = min(max(y, 0), rows - 1), min(max(x, 0), cols - 1)
            if not known[0, round(y), round(x)]:
                continue
            valid[0, i, j] = True
            total, weight = np.zeros(bands), 0.0
            for row in {math.floor(y), math.ceil(y)}:
                for col in {math.floor(x), math.ceil(x)}:
                    if known[0, row, col]:
                        share = (1 - abs(y - row)) * (1 - abs(x - col))
                        total += share * image[:, row, col]
                        weight += share
            values[:, i, j] = total / weight
    return values, valid
