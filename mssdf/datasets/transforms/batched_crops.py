"""Settings of random windows of a whole batch, and their colors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mssdf.errors import ConfigError, Words


@dataclass(frozen=True)
class CropSettings:
    """Settings of the windows that are cut from tiles.

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
            raise ConfigError('size', 'at least 1 pixel', self.size)
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ConfigError('scale', '0 < smallest <= largest <= 1', self.scale)
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ConfigError('ratio', '0 < smallest <= largest', self.ratio)
        if not (0 <= self.brightness < 1 and 0 <= self.contrast <= 1):
            raise ConfigError(
                'brightness and contrast',
                'at least 0 and at most 1',
                Words(f'{self.brightness} and {self.contrast}'),
            )


def draw_colors(count: int, settings: CropSettings, generator: torch.Generator) -> Tensor:
    """Draw brightness and contrast factors (B, 2) of a batch, around 1."""
    draws = torch.rand(count, 2, generator=generator) * 2 - 1
    return 1 + draws * torch.tensor([settings.brightness, settings.contrast])


def change_colors(images: Tensor, valid: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, and stretch contrast about the mean of each window's valid pixels.

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
