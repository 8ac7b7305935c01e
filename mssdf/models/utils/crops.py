"""Random crops, flips and quarter turns of a batch of windows, all at once on its device."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Source, uniform


class CropParameters(NamedTuple):
    """One part of each window, and how it is turned.

    Attributes:
        top: (B,) upper edge, as a share of the window's height.
        left: (B,) left edge, as a share of the window's width.
        height: (B,) height, as a share of the window's.
        width: (B,) width, as a share of the window's.
        turns: (B,) number of quarter turns counterclockwise, 0...3, as ``torch.rot90`` counts.
        flip: (B,) bool: whether left and right are swapped after the turns.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    turns: Tensor
    flip: Tensor


def crop_parameters(
    batch: int,
    window: tuple[int, int],
    device: torch.device,
    source: Source = None,
    scale: tuple[float, float] = (0.4, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    turn: bool = True,
) -> CropParameters:
    """Draw a random part, turn and flip for each window.

    With a flip and the four turns, each of the eight symmetries of a square is as likely. A
    window that is not square is turned upside down at most.

    Args:
        batch: number of windows B.
        window: height and width of a window in pixels.
        device: device of the result, and of the source.
        source: source of randomness, see :mod:`~mssdf.models.utils.draws`.
        scale: smallest and largest area of the part, as shares of the window's.
        ratio: smallest and largest width over height of the part in pixels.
        turn: whether to turn and flip.

    Returns:
        Parameters, six tensors (B,).
    """
    area, shape, top, left, turns, flip = uniform((batch, 6), device, source).unbind(dim=1)
    area = scale[0] + area * (scale[1] - scale[0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + shape * (high - low)) * (window[0] / window[1])  # in shares

    # clipped to the window, as torchvision's fallback does: an extreme shape loses some area
    height, width = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
    top, left = top * (1 - height), left * (1 - width)

    quarters = (turns * 4).long()
    if window[0] != window[1]:
        quarters = quarters // 2 * 2
    return CropParameters(
        top, left, height, width, quarters if turn else quarters * 0, (flip < 0.5) & turn
    )


def source_points(parameters: CropParameters, size: tuple[int, int]) -> Tensor:
    """Find where in the window each pixel of the crop comes from.

    Args:
        parameters: parts and turns of B windows.
        size: height h and width w of the crop in pixels.

    Returns:
        (B, h, w, 2) horizontal and vertical position in -1...1 over the window, from edge to
        edge, as ``grid_sample`` takes them.
    """
    device = parameters.top.device
    rows = (torch.arange(size[0], device=device) + 0.5) / size[0]
    cols = (torch.arange(size[1], device=device) + 0.5) / size[1]
    flip, turns = parameters.flip.view(-1, 1, 1), parameters.turns.view(-1, 1, 1)
    y, x = rows[None, :, None], cols[None, None, :]
    x = torch.where(flip, 1 - x, x)

    # torch.rot90 by one quarter puts what stands at (x, 1 - y) to (y, x)
    odd = turns % 2 == 1
    first, second = torch.where(odd, x, y), torch.where(odd, y, x)
    vertical = torch.where(turns >= 2, 1 - first, first)
    horizontal = torch.where((turns == 1) | (turns == 2), 1 - second, second)

    top, left, height, width = (value.view(-1, 1, 1) for value in parameters[:4])
    points = torch.stack([left + width * horizontal, top + height * vertical], dim=-1)
    return points.mul_(2).sub_(1)


def crop(
    image: Tensor,
    valid: Tensor | None,
    points: Tensor,
) -> tuple[Tensor, Tensor | None]:
    """Cut, turn and resize one modality of each window.

    Values are interpolated bilinearly between valid pixels alone, validity goes by the nearest
    pixel. All modalities of a window that are cut at the same points stay registered.

    Args:
        image: (B, C, H, W) of any number type.
        valid: (B, 1, H, W) bool; all pixels if None.
        points: (B, h, w, 2) of :func:`source_points`.

    Returns:
        (B, C, h, w) float32, 0 where invalid, and (B, 1, h, w) bool, or None as given.
    """

    def sample(values: Tensor, mode: str) -> Tensor:
        return F.grid_sample(values, points, mode, padding_mode='border', align_corners=False)

    image = image.float()
    if valid is None:
        return sample(image, 'bilinear'), None

    weight = valid.float()
    known = sample(weight, 'nearest') > 0.5
    # a pixel whose nearest neighbor is valid has at least a quarter of its weight there
    share = sample(weight, 'bilinear').clamp(min=0.2)
    values = sample(image.masked_fill(~valid, 0.0), 'bilinear') / share
    return values.masked_fill(~known, 0.0), known
