"""Random crops of a batch against PyTorch's own rotations, flips and interpolation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mssdf.models.utils.crops import CropParameters, crop, crop_parameters, source_points

CPU = torch.device('cpu')


def parameters(top=0.0, left=0.0, height=1.0, width=1.0, turns=0, flip=False) -> CropParameters:
    """One window's parameters."""
    numbers = [torch.tensor([float(value)]) for value in (top, left, height, width)]
    return CropParameters(*numbers, torch.tensor([turns]), torch.tensor([flip]))


@pytest.mark.parametrize('turns', [0, 1, 2, 3])
@pytest.mark.parametrize('flip', [False, True])
def test_whole_windows_are_turned_as_torch_does(turns, flip):
    image = 2000 * torch.rand(1, 3, 32, 32)
    valid = torch.rand(1, 1, 32, 32) > 0.3
    points = source_points(parameters(turns=turns, flip=flip), (32, 32))
    found, known = crop(image, valid, points)

    def turned(values: Tensor) -> Tensor:
        values = torch.rot90(values, turns, (2, 3))
        return values.flip(3) if flip else values

    assert torch.equal(known, turned(valid))
    torch.testing.assert_close(found, turned(image * valid), rtol=0, atol=0.02)
    complete, _ = crop(image, None, points)
    torch.testing.assert_close(complete, turned(image), rtol=0, atol=0.02)


@pytest.mark.parametrize('turns', [0, 1, 2, 3])
def test_a_part_on_whole_pixels_is_cut_and_resized_as_torch_does(turns):
    """Half of the window, enlarged twice: inside, bilinear resizing of the part by itself."""
    image = torch.rand(1, 2, 64, 64)
    points = source_points(parameters(0.25, 0.5, 0.5, 0.5, turns), (64, 64))
    found, _ = crop(image, None, points)
    part = F.interpolate(image[..., 16:48, 32:64], scale_factor=2, mode='bilinear')
    expected = torch.rot90(part, turns, (2, 3))
    # at its edges a crop sees the pixels beyond
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-4, rtol=0)


def test_a_crop_is_that_of_a_plain_loop():
    """Bilinear interpolation at pixel centers, written out in NumPy."""
    image, size = 255 * torch.rand(1, 3, 32, 32), 8
    points = source_points(parameters(top=0.05, left=0.325, height=0.4, width=0.6), (size, size))
    found, _ = crop(image, None, points)
    source = image[0].numpy().astype(float)
    for row in range(size):
        for column in range(size):
            top = 32 * (0.05 + 0.4 * (row + 0.5) / size) - 0.5
            left = 32 * (0.325 + 0.6 * (column + 0.5) / size) - 0.5
            i, j = math.floor(top), math.floor(left)
            down, right = top - i, left - j
            expected = (
                source[:, i, j] * (1 - down) * (1 - right)
                + source[:, i, j + 1] * (1 - down) * right
                + source[:, i + 1, j] * down * (1 - right)
                + source[:, i + 1, j + 1] * down * right
            )
            np.testing.assert_allclose(found[0, :, row, column], expected, atol=1e-2)


def test_invalid_pixels_leave_no_trace():
    valid = torch.rand(8, 1, 48, 48) > 0.5
    image = torch.where(valid, 3.0, torch.nan).expand(8, 2, 48, 48)
    points = source_points(crop_parameters(8, (48, 48), CPU), (48, 48))
    found, known = crop(image, valid, points)
    assert known is not None
    torch.testing.assert_close(found, known.expand_as(found) * 3.0)


def test_modalities_stay_registered():
    """Each modality holds the coordinates of its pixels: they agree after any crop."""
    row = torch.arange(64.0)[:, None].expand(64, 64)
    coordinates = torch.stack([row, row.T]).expand(16, 2, 64, 64)
    drawn = crop_parameters(16, (64, 64), CPU)
    points = source_points(drawn, (64, 64))
    first, _ = crop(coordinates, None, points)
    holes = torch.rand(16, 1, 64, 64) > 0.1
    second, known = crop(coordinates.to(torch.int16), holes, points)
    assert known is not None
    # filling up a hole from its neighbors moves a value by less than a pixel
    assert ((first - second).abs() * known).max() < 1
    complete = F.avg_pool2d(holes.float(), 3, 1, 1).eq(1).float()
    far, _ = crop(complete, None, points)
    torch.testing.assert_close(first * (far == 1), second * (far == 1), atol=1e-4, rtol=1e-4)

    # and they are those of the part that was drawn
    for window in range(16):
        top, left, height, width = (64 * float(value[window]) for value in drawn[:4])
        for axis, (start, length) in enumerate(((top, height), (left, width))):
            low, high = first[window, axis].min(), first[window, axis].max()
            assert start - 1 <= low <= start + 1
            assert start + length - 2 <= high <= start + length


def test_parts_are_of_the_scale_and_shape_asked_for():
    source = torch.Generator().manual_seed(0)
    drawn = crop_parameters(20_000, (64, 64), CPU, source, scale=(0.4, 0.6))
    area, aspect = drawn.height * drawn.width, drawn.width / drawn.height
    assert 0.4 - 1e-5 <= area.min() and area.max() <= 0.6 + 1e-5
    assert area.mean().item() == pytest.approx(0.5, abs=0.003)
    assert 3 / 4 - 1e-5 <= aspect.min() and aspect.max() <= 4 / 3 + 1e-5
    assert aspect.log().mean().item() == pytest.approx(0, abs=0.01)
    assert drawn.top.min() >= 0 and (drawn.top + drawn.height).max() <= 1 + 1e-6
    assert drawn.left.min() >= 0 and (drawn.left + drawn.width).max() <= 1 + 1e-6
    share = torch.bincount(drawn.turns * 2 + drawn.flip) / 20_000
    assert (share - 1 / 8).abs().max() < 5 * math.sqrt(1 / 8 * 7 / 8 / 20_000)


def test_windows_that_are_not_square():
    drawn = crop_parameters(4000, (32, 64), CPU, scale=(0.3, 0.3))
    aspect = 2 * drawn.width / drawn.height
    assert 3 / 4 - 1e-5 <= aspect.min() and aspect.max() <= 4 / 3 + 1e-5
    assert set(drawn.turns.tolist()) == {0, 2}
    plain = crop_parameters(100, (32, 64), CPU, turn=False)
    assert not plain.turns.any() and not plain.flip.any()
