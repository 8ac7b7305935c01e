import math

import numpy as np
import pytest
import torch

from mssdf.datasets.in_memory import Tiles
from mssdf.datasets.tile_stream import TileStream
from mssdf.datasets.transforms.batched_crops import (
    CropSettings,
    change_colors,
    crop_matrices,
    draw_crops,
    sample_crops,
)


def matrices(extent=(1.0, 1.0), center=(0.0, 0.0), turns=0, mirrored=False):
    return crop_matrices(
        torch.tensor([extent]),
        torch.tensor([center]),
        torch.tensor([turns]),
        torch.tensor([mirrored]),
    )


def everywhere(images):
    return torch.ones(len(images), 1, *images.shape[-2:], dtype=torch.bool)


@pytest.fixture
def image():
    return torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)


def test_the_whole_tile_comes_back_as_it_is(image):
    windows, valid = sample_crops(image, everywhere(image), matrices(), 32)
    torch.testing.assert_close(windows, image.float(), atol=2e-3, rtol=0)
    assert valid.all()


@pytest.mark.parametrize('turns', range(4))
@pytest.mark.parametrize('mirrored', [False, True])
def test_turns_and_mirrors_are_those_of_torch(image, turns, mirrored):
    windows, _ = sample_crops(
        image, everywhere(image), matrices(turns=turns, mirrored=mirrored), 32
    )
    expected = torch.rot90(image, turns, dims=(2, 3))
    expected = expected.flip(3) if mirrored else expected
    torch.testing.assert_close(windows, expected.float(), atol=2e-3, rtol=0)


def test_half_the_size_averages_two_by_two_pixels(image):
    windows, _ = sample_crops(image, everywhere(image), matrices(), 16)
    expected = torch.nn.functional.avg_pool2d(image.float(), 2)
    torch.testing.assert_close(windows, expected, atol=2e-3, rtol=0)


def test_a_crop_is_that_of_a_plain_loop(image):
    """Bilinear interpolation at pixel centers, written out in NumPy."""
    extent, center, size = (0.6, 0.4), (0.25, -0.5), 8
    windows, _ = sample_crops(image, everywhere(image), matrices(extent, center), size)
    source = image[0].numpy().astype(float)
    for row in range(size):
        for column in range(size):
            x, y = ((2 * each + 1) / size - 1 for each in (column, row))
            x, y = x * extent[0] + center[0], y * extent[1] + center[1]
            left, top = ((each + 1) * 16 - 0.5 for each in (x, y))
            i, j = math.floor(top), math.floor(left)
            down, right = top - i, left - j
            expected = (
                source[:, i, j] * (1 - down) * (1 - right)
                + source[:, i, j + 1] * (1 - down) * right
                + source[:, i + 1, j] * down * (1 - right)
                + source[:, i + 1, j + 1] * down * right
            )
            np.testing.assert_allclose(windows[0, :, row, column], expected, atol=1e-2)


def test_invalid_pixels_touch_nothing(image):
    valid = everywhere(image)
    valid[..., 8:20, 10:25] = False
    other = torch.where(valid, image, 255 - image)
    settings = CropSettings(size=24, scale=(0.3, 1.0))
    geometry = draw_crops(1, settings, torch.Generator().manual_seed(3))
    first, inside = sample_crops(image, valid, geometry, 24)
    second, _ = sample_crops(other, valid, geometry, 24)
    assert torch.equal(first, second)
    assert inside.any() and not inside.all() and (first[~inside.expand_as(first)] == 0).all()
    constant, _ = sample_crops(torch.full_like(image, 7), valid, geometry, 24)
    torch.testing.assert_close(
        constant[inside.expand_as(constant)], torch.tensor(7.0).expand(3 * int(inside.sum()))
    )


def test_geometry_keeps_its_ranges():
    settings = CropSettings(size=8, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    geometry = draw_crops(4000, settings, torch.Generator().manual_seed(0))
    linear = geometry[:, :, :2]
    area = linear.det().abs()
    assert 0.199 < area.min() < 0.21 and 0.58 < area.max() < 0.601
    assert area.mean() == pytest.approx(0.4, abs=0.01)
    reach = linear.abs().sum(dim=2) + geometry[:, :, 2].abs()
    assert reach.max() <= 1 + 1e-5  # no window leaves its tile
    kinds = {tuple(each.sign().flatten().int().tolist()) for each in linear}
    assert len(kinds) == 8  # four turns, mirrored or not
    upright = draw_crops(50, CropSettings(size=8, flip=False), torch.Generator())
    assert (upright[:, 0, 0] > 0).all() and (upright[:, 0, 1] == 0).all()


def test_colors_are_multiplied_and_stretched_about_the_mean(image):
    valid = everywhere(image)
    valid[..., :4] = False
    changed = change_colors(image.float(), valid, torch.tensor([[1.1, 0.5]]))
    known = valid.expand_as(image).numpy()
    values = image.numpy().astype(float)
    expected = np.clip(((values - values[known].mean()) * 0.5 + values[known].mean()) * 1.1, 0, 255)
    np.testing.assert_allclose(changed.numpy()[known], expected[known], rtol=1e-4)
    assert (changed.numpy()[~known] == 0).all()


def tiles_of(count=7, size=16):
    first = torch.rand(count, 1, size, size) * 100
    images = dict(
        rgb=(first.expand(-1, 3, -1, -1)).to(torch.uint8), dsm=first.to(torch.uint8).half() * 3 + 5
    )
    valid = {name: torch.ones(count, 1, size, size, dtype=torch.bool) for name in images}
    valid['dsm'][2] = False
    return Tiles(images, valid, [f'scene{i}' for i in range(count)])


def test_modalities_stay_registered():
    """A height that is a linear function of the color is so in every window."""
    stream = TileStream(tiles_of(), ('rgb', 'dsm'), CropSettings(size=12), 20, seed=1)
    batch = stream.next_batch()
    rgb, dsm, known = batch['inputs']['rgb'][:, :1], batch['inputs']['dsm'], batch['valid']['dsm']
    torch.testing.assert_close(dsm[known], (rgb * 3 + 5)[known], atol=1e-2, rtol=1e-4)
    assert known.any() and not known.all()


def test_a_recipe_of_one_modality_sees_the_same_windows_and_batches_have_every_tile():
    settings = CropSettings(size=12)
    both = TileStream(tiles_of(), ('rgb', 'dsm'), settings, 5, seed=4)
    alone = TileStream(tiles_of(), ('rgb',), settings, 5, seed=4)
    for tiles in (both.tiles, alone.tiles):
        tiles.images['rgb'] = (
            torch.arange(7, dtype=torch.uint8).view(7, 1, 1, 1).expand(7, 3, 16, 16)
        )
    seen = []
    for _ in range(7):
        batch = both.next_batch()
        assert torch.equal(batch['inputs']['rgb'], alone.next_batch()['inputs']['rgb'])
        seen += batch['inputs']['rgb'][:, 0, 0, 0].round().int().tolist()
    for start in range(0, 35, 7):
        assert sorted(seen[start : start + 7]) == list(range(7))
    orders = [
        torch.cat([stream.next_indices() for _ in range(7)]).tolist()
        for stream in (TileStream(tiles_of(), ('rgb',), settings, 5, seed) for seed in (4, 5))
    ]
    assert orders[0] == seen != orders[1]


@pytest.mark.parametrize(
    'wrong', [dict(size=0), dict(scale=(0.0, 1.0)), dict(ratio=(2.0, 1.0)), dict(brightness=-0.1)]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CropSettings(**(dict(size=8) | wrong))
    with pytest.raises(ValueError, match="modalities: expected some of .*found \\['ms'\\]"):
        TileStream(tiles_of(), ('ms',), CropSettings(size=8), 2, seed=0)
