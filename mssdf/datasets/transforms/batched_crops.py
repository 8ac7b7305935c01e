"""Random resized crops, flips and quarter turns of a whole batch, on its device."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class CropSettings:
    """How windows are cut from tiles.

    Attributes:
        size: side of a window in pixels.
        scale: smallest and largest area of the part of a tile that becomes a window, as shares of
            the tile.
        ratio: smallest and largest width over height of that part.
        flip: whether to mirror half of the windows and turn each by a random quarter turn.
        brightness: half-width of the range of the brightness factor; 0 leaves colors as they are.
        contrast: half-width of the range of the contrast factor.

    Raises:
        ValueError: if a range is empty or leaves what is possible.
    """

    size: int
    scale: tuple[float, float] = (0.25, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f'size: expected at least 1 pixel, found {self.size}')
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f'scale: expected 0 < smallest <= largest <= 1, found {self.scale}')
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f'ratio: expected 0 < smallest <= largest, found {self.ratio}')
        if not (0 <= self.brightness < 1 and 0 <= self.contrast <= 1):
            raise ValueError(
                'brightness and contrast: expected at least 0 and at most 1, found '
                f'{self.brightness} and {self.contrast}'
            )


def crop_matrices(extent: Tensor, center: Tensor, turns: Tensor, mirrored: Tensor) -> Tensor:
    """Affine maps from the coordinates of windows to those of their tiles.

    Coordinates run from -1 to 1 over the outer edges of the pixels, x before y.

    Args:
        extent: width and height of the parts as shares of the tile (B, 2), before the turn.
        center: middle of the parts (B, 2) in the tile's coordinates.
        turns: quarter turns (B,), counted as ``torch.rot90`` over the last two axes counts them.
        mirrored: whether a window is mirrored left to right after the turn (B,), bool.

    Returns:
        (B, 2, 3), for :func:`torch.nn.functional.affine_grid`.
    """
    angle = turns.to(extent.dtype) * (math.pi / 2)
    cos, sin = angle.cos().round(), angle.sin().round()
    sign = torch.where(mirrored, -1.0, 1.0).to(extent.dtype)
    rotation = torch.stack(
        [torch.stack([cos * sign, -sin], dim=-1), torch.stack([sin * sign, cos], dim=-1)], dim=-2
    )
    return torch.cat([extent.unsqueeze(-1) * rotation, center.unsqueeze(-1)], dim=-1)


def draw_crops(count: int, settings: CropSettings, generator: torch.Generator) -> Tensor:
    """Draw the geometry of a batch of windows.

    The same count of numbers is drawn whatever the settings, so that what comes after does not
    depend on them.

    Args:
        count: windows of the batch, B.
        settings: ranges to draw from.
        generator: source of the random numbers, on the host.

    Returns:
        (B, 2, 3), see :func:`crop_matrices`.
    """
    draws = torch.rand(count, 6, generator=generator)
    area = settings.scale[0] + (settings.scale[1] - settings.scale[0]) * draws[:, 0]
    low, high = (math.log(value) for value in settings.ratio)
    ratio = (low + (high - low) * draws[:, 1]).exp()
    extent = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1)
    center = (draws[:, 2:4] * 2 - 1) * (1 - extent)  # the part stays inside the tile
    turns = (draws[:, 4] * 4).long() * settings.flip
    mirrored = (draws[:, 5] < 0.5) & settings.flip
    return crop_matrices(extent, center, turns, mirrored)


def sample_crops(
    images: Tensor, valid: Tensor, matrices: Tensor, size: int, complete: bool = False
) -> tuple[Tensor, Tensor]:
    """Cut windows out of tiles and resize them.

    Values are interpolated bilinearly, invalid pixels left out; validity goes by the nearest
    pixel.

    Args:
        images: tiles (B, C, S, S) of any type.
        valid: validity (B, 1, S, S) of the tiles, bool.
        matrices: geometry (B, 2, 3) of :func:`draw_crops`.
        size: side of the windows in pixels.
        complete: whether every pixel is known to be valid, which saves looking.

    Returns:
        Values (B, C, size, size), float32, zero where invalid, and validity (B, 1, size, size).
    """
    grid = functional.affine_grid(matrices, [len(images), 1, size, size], align_corners=False)
    values = images.float()
    if complete:
        windows = _sample(values, grid, 'bilinear')
        return windows, valid.new_ones(len(images), 1, size, size)

    weight = valid.float()
    known = _sample(weight, grid, 'bilinear')
    windows = _sample(values * weight, grid, 'bilinear')
    inside = (_sample(weight, grid, 'nearest') > 0.5) & (known > 1e-3)
    # invalid pixels count as zero, so that the sum is that of the valid ones
    return torch.where(inside, windows / known.clamp(min=1e-3), 0.0), inside


def _sample(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(
        values, grid, mode=mode, padding_mode='border', align_corners=False
    )


def draw_colors(count: int, settings: CropSettings, generator: torch.Generator) -> Tensor:
    """Draw brightness and contrast factors (B, 2) of a batch, around 1."""
    draws = torch.rand(count, 2, generator=generator) * 2 - 1
    return 1 + draws * torch.tensor([settings.brightness, settings.contrast])


def change_colors(images: Tensor, valid: Tensor, factors: Tensor) -> Tensor:
    """Multiply brightness and stretch contrast about the mean of each window's valid pixels.

    Args:
        images: windows (B, C, H, W) of 0...255.
        valid: validity (B, 1, H, W).
        factors: brightness and contrast (B, 2).

    Returns:
        (B, C, H, W) within 0...255, zero where invalid.
    """
    brightness, contrast = (factor.view(-1, 1, 1, 1) for factor in factors.unbind(dim=1))
    count = valid.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1) * images.shape[1]
    mean = (images * valid).sum(dim=(1, 2, 3), keepdim=True) / count
    changed = ((images - mean) * contrast + mean) * brightness
    return torch.where(valid, changed.clamp(0, 255), 0.0)
