import numpy as np
import pytest
import torch

from mssdf.contest.tile_stream import TileStream
from mssdf.contest.tiles import Tiles
from mssdf.datasets.transforms.batched_crops import (
    CropSettings,
    change_colors,
    draw_colors,
)


def everywhere(images):
    return torch.ones(len(images), 1, *images.shape[-2:], dtype=torch.bool)


@pytest.fixture
def image():
    return torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)


def test_colors_are_multiplied_and_stretched_about_the_mean(image):
    valid = everywhere(image)
    valid[..., :4] = False
    changed = change_colors(image.float(), valid, torch.tensor([[1.1, 0.5]]))
    known = valid.expand_as(image).numpy()
    values = image.numpy().astype(float)
    expected = np.clip(((values - values[known].mean()) * 0.5 + values[known].mean()) * 1.1, 0, 255)
    np.testing.assert_allclose(changed.numpy()[known], expected[known], rtol=1e-4)
    assert (changed.numpy()[~known] == 0).all()


def test_brightness_and_contrast_are_drawn_from_ranges_of_their_own():
    settings = CropSettings(size=8, brightness=0.1, contrast=0.6)
    factors = draw_colors(2000, settings, torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(factors.min(axis=0), [0.9, 0.4], atol=0.01)
    np.testing.assert_allclose(factors.max(axis=0), [1.1, 1.6], atol=0.01)
    np.testing.assert_allclose(factors.mean(axis=0), 1, atol=0.03)


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
