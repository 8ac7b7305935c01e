"""Heights above ground, land cover and changes, derived from images and surface models."""

import cv2
import numpy as np
from numpy.typing import NDArray

# The six classes of ISPRS from 1 on; 0 is not labeled.
IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE, CAR, CLUTTER = range(1, 7)


def heights_above_ground(surface: NDArray, span: int = 121) -> NDArray[np.float32]:
    """Compute the heights above the ground under a surface model.

    The ground is the surface's morphological opening, which removes objects narrower than ``span``.

    Args:
        surface: heights (H, W) in meters, NaN where unknown.
        span: side of the opening in pixels, odd.

    Returns:
        Heights (H, W) in meters, not negative, NaN where unknown.
    """
    known = np.isfinite(surface)
    filled = np.where(known, surface, np.nanmedian(surface)).astype(np.float32)
    ground = cv2.morphologyEx(filled, cv2.MORPH_OPEN, np.ones((span, span), np.uint8))
    return np.where(known, np.maximum(filled - ground, 0), np.float32(np.nan))


def land_cover(
    rgb: NDArray[np.uint8], heights: NDArray, infrared: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Label pixels by their height and greenness (or vegetation index, where there is infrared).

    Args:
        rgb: image (H, W, 3).
        heights: heights (H, W) above ground in meters, NaN where unknown.
        infrared: infrared band (H, W); None without it.

    Returns:
        Labels (H, W) from 1 to 6, 0 where the height is unknown. Objects of one to two and a half
        meters that are not green count as cars, dark ground as clutter.
    """
    red, green, blue = (rgb[..., band].astype(np.float32) for band in range(3))
    if infrared is None:
        vegetated = 2 * green - red - blue > 12
    else:
        near = infrared.astype(np.float32)
        vegetated = (near - red) / np.maximum(near + red, 1) > 0.2
    tall = heights > 2.5
    labels = np.where(vegetated, LOW_VEGETATION, IMPERVIOUS)
    labels = np.where((heights > 1) & ~tall & ~vegetated, CAR, labels)
    labels = np.where((rgb.max(axis=2) < 50) & ~tall & ~vegetated, CLUTTER, labels)
    labels = np.where(tall & vegetated, TREE, np.where(tall, BUILDING, labels))
    return np.where(np.isfinite(heights), labels, 0).astype(np.uint8)


def later_date(
    image: NDArray[np.uint8],
    other: NDArray[np.uint8],
    rng: np.random.Generator,
    patches: int = 3,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Make a second date of an image, with other light and inserted patches of another place.

    Args:
        image: image (H, W, C).
        other: image (H, W, C) of another place.
        rng: generator of the patches' positions and sizes.
        patches: number of patches.

    Returns:
        Image (H, W, C), and (H, W) bool, true in the patches.
    """
    height, width = image.shape[:2]
    inside = np.zeros((height, width), bool)
    for _ in range(patches):
        rows, cols = (int(rng.integers(size // 6, size // 3)) for size in (height, width))
        top, left = int(rng.integers(height - rows)), int(rng.integers(width - cols))
        inside[top : top + rows, left : left + cols] = True
    later = np.where(inside[..., None], other, image).astype(np.float32)
    light = rng.uniform(0.85, 1.15) * later + rng.uniform(-10, 10)
    return light.clip(0, 255).round().astype(np.uint8), inside
