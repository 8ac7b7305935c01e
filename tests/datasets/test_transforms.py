"""Transforms, against NumPy, torchvision and closed forms."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as tv

from mssdf.datasets import (
    ModalityDropout,
    MultiModalColorJitter,
    MultiModalRandomFlip,
    MultiModalRandomResizedCrop,
    MultiModalRandomRotate90,
    PackMultiModalInputs,
)
from mssdf.datasets.transforms.color_jitter import jitter
from mssdf.datasets.transforms.random_resized_crop import resize


def results(seed=0, size=(24, 24), dtypes=('uint8', 'float32', 'uint16', 'int16')):
    """Every modality, and its validity, is a function of the pixel's number."""
    number = np.arange(size[0] * size[1]).reshape(size)
    images, valid = {}, {}
    for bands, dtype in enumerate(dtypes, 1):
        image = (number + 17 * np.arange(bands)[:, None, None]) % 199 + 1
        valid[dtype] = number % 7 != bands
        images[dtype] = np.where(valid[dtype], image, 0).astype(dtype)
    return dict(
        images=images,
        valid=valid,
        rng=np.random.default_rng(seed),
        scene='s',
        window=(0, 0, *size),
        files={},
    )


def assert_same_geometry(before, after, change):
    for part in ('images', 'valid'):
        for modality, array in before[part].items():
            np.testing.assert_array_equal(after[part][modality], change(array))
            assert after[part][modality].dtype == array.dtype


def test_flips_are_numpy_s_and_one_for_all():
    seen = set()
    for seed in range(30):
        before, after = results(seed), MultiModalRandomFlip()(results(seed))
        options = {
            axes: np.array_equal(after['images']['uint8'], np.flip(before['images']['uint8'], axes))
            for axes in ((), (-2,), (-1,), (-2, -1))
        }
        (axes,) = [axes for axes, equal in options.items() if equal]
        assert_same_geometry(before, after, lambda a, axes=axes: np.flip(a, axes))
        seen.add(axes)
    assert len(seen) == 4


def test_one_direction_only():
    before, after = results(), MultiModalRandomFlip(1.0, ['vertical'])(results())
    assert_same_geometry(before, after, lambda a: a[..., ::-1, :])
    before, after = results(), MultiModalRandomFlip(1.0, ['horizontal'])(results())
    assert_same_geometry(before, after, lambda a: a[..., ::-1])
    with pytest.raises(ValueError, match='diagonal'):
        MultiModalRandomFlip(directions=['diagonal'])


def turned(array, quarters):
    return np.rot90(array, quarters, axes=(-2, -1))


def test_turns_are_numpy_s_and_one_for_all():
    seen = set()
    for seed in range(30):
        before, after = results(seed), MultiModalRandomRotate90()(results(seed))
        (turns,) = [
            k
            for k in range(4)
            if np.array_equal(after['images']['uint8'], turned(before['images']['uint8'], k))
        ]
        assert_same_geometry(before, after, lambda a, k=turns: turned(a, k))
        seen.add(turns)
    assert seen == {0, 1, 2, 3}


def test_oblong_windows_keep_their_shape():
    for seed in range(10):
        after = MultiModalRandomRotate90()(results(seed, size=(10, 20)))
        assert after['valid']['uint8'].shape == (10, 20)


def test_crop_at_its_own_size_is_a_part_of_the_window():
    """Where nothing is resized, geometry shows exactly: one part for all modalities."""
    transform = MultiModalRandomResizedCrop(12, scale=(0.25, 0.25), ratio=(1, 1), min_valid=0)
    places = set()
    for seed in range(20):
        before, after = results(seed), transform(results(seed))
        (place,) = [
            (r, c)
            for r in range(13)
            for c in range(13)
            if np.array_equal(
                after['images']['uint16'], before['images']['uint16'][:, r : r + 12, c : c + 12]
            )
        ]
        r, c = place
        assert_same_geometry(before, after, lambda a, r=r, c=c: a[..., r : r + 12, c : c + 12])
        places.add(place)
    assert len(places) > 15


def test_crop_follows_scale_and_ratio():
    transform = MultiModalRandomResizedCrop(8, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    rng = np.random.default_rng(0)
    for _ in range(500):
        top, left, rows, cols = transform._draw(rng, 200, 200)
        assert 0 <= top <= 200 - rows and 0 <= left <= 200 - cols
        assert 0.19 < rows * cols / 200**2 < 0.61
        assert 0.48 < cols / rows < 2.1


def test_resize_is_bilinear_and_keeps_units():
    rng = np.random.default_rng(0)
    heights = rng.normal(1500, 20, (1, 13, 17)).astype(np.float32)
    out, valid = resize(heights, np.ones((13, 17), bool), (32, 40))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(heights)[None].double(),
        size=(32, 40),
        mode='bilinear',
        align_corners=False,
    )[0, 0]
    np.testing.assert_allclose(out[0], expected, atol=2e-3)
    assert valid.all()


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_resize_weights_with_validity(dtype):
    rng = np.random.default_rng(1)
    valid = rng.random((21, 21)) < 0.6
    image = rng.integers(50, 200, (6, 21, 21)).astype(dtype)
    image[:, ~valid] = 0
    out, known = resize(image, valid, (50, 44))  # no output pixel between two
    rows = ((np.arange(50) + 0.5) * 21 / 50).astype(int)
    cols = ((np.arange(44) + 0.5) * 21 / 44).astype(int)
    np.testing.assert_array_equal(known, valid[np.ix_(rows, cols)])  # the nearest pixel's
    assert out.dtype == dtype and out.shape == (6, 50, 44)
    assert out[:, known].min() >= 49.999 and out[:, known].max() <= 199.001  # no invalid zero
    assert (out[:, ~known] == 0).all()

    def bilinear(array):
        tensor = torch.from_numpy(array.astype(np.float64))[None, None]
        return torch.nn.functional.interpolate(tensor, (50, 44), mode='bilinear')[0, 0].numpy()

    expected = bilinear(image[2]) / np.where(known, bilinear(valid), 1)
    np.testing.assert_allclose(out[2, known], expected[known], atol=0.51)


def test_shrinking_averages():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 40, 40)).astype(np.float32)
    valid = np.ones((40, 40), bool)
    valid[:10] = False
    image[:, ~valid] = 0
    out, known = resize(image, valid, (10, 10))
    expected = image.reshape(2, 10, 4, 10, 4).mean((2, 4))
    np.testing.assert_allclose(out[:, 3:], expected[:, 3:], atol=1e-5)
    np.testing.assert_array_equal(known, valid[2::4, 2::4])


def test_crop_looks_for_valid_pixels():
    transform = MultiModalRandomResizedCrop(8, scale=(0.05, 0.1), min_valid=0.9)
    for seed in range(20):
        given = results(seed, size=(40, 40))
        for modality, valid in given['valid'].items():
            valid[:] = False
            valid[:20] = True
            given['images'][modality][:, 20:] = 0
        assert any(v.mean() > 0.8 or v.mean() == 0.5 for v in transform(given)['valid'].values())


def test_jitter_equals_torchvision_where_nothing_clips():
    rng = np.random.default_rng(0)
    image = rng.integers(90, 150, (3, 32, 32)).astype(np.uint8)
    out = jitter(image, np.ones((32, 32), bool), 1.1, 0.8, 0.7)
    tensor = torch.from_numpy(image).double() / 255
    expected = tv.adjust_saturation(tv.adjust_contrast(tv.adjust_brightness(tensor, 1.1), 0.8), 0.7)
    np.testing.assert_allclose(out / 255, expected, atol=0.6 / 255 + 1e-3)


def test_jitter_keeps_to_the_range_and_leaves_invalid_pixels():
    rng = np.random.default_rng(0)
    valid = rng.random((20, 20)) < 0.8
    for dtype in ('uint8', 'uint16', 'int16', 'float32'):
        image = rng.integers(
            300 if dtype != 'uint8' else 10, 250 if dtype == 'uint8' else 4000, (3, 20, 20)
        ).astype(dtype)
        image[:, ~valid] = 0
        low, high = image[:, valid].min(), image[:, valid].max()
        out = jitter(image, valid, 1.5, 1.4, 1.3)
        assert out.dtype == dtype and (out[:, ~valid] == 0).all()
        assert not np.array_equal(out, image)
        if dtype != 'uint8':
            assert out[:, valid].min() >= low and out[:, valid].max() <= high
        same = jitter(image, valid, 1.0, 1.0, 1.0)
        np.testing.assert_allclose(same, image, atol=1e-3 if dtype == 'float32' else 0)


def test_jitter_is_for_rgb_alone():
    given = results(dtypes=('float32', 'int16', 'uint8'))
    given['images'] = dict(dsm=given['images']['float32'], rgb=given['images']['uint8'])
    given['valid'] = dict(dsm=given['valid']['float32'], rgb=given['valid']['uint8'])
    before = {m: a.copy() for m, a in given['images'].items()}
    after = MultiModalColorJitter()(given)['images']
    np.testing.assert_array_equal(after['dsm'], before['dsm'])
    assert not np.array_equal(after['rgb'], before['rgb'])
    with pytest.raises(ValueError, match="'dsm'.*3 bands"):
        MultiModalColorJitter(modality='dsm')(given)
    with pytest.raises(KeyError, match='pan'):
        MultiModalColorJitter(modality='pan')(given)


def test_dropout_never_drops_all_and_keeps_to_its_rate():
    transform = ModalityDropout(dict(uint8=0.3, float32=0.6))
    rng = np.random.default_rng(0)
    dropped = np.zeros(4)
    for _ in range(2000):
        given = results(size=(8, 8))
        given['rng'] = rng
        after = transform(given)
        gone = [not v.any() for v in after['valid'].values()]
        assert all(
            not after['images'][m].any() for m, g in zip(after['valid'], gone, strict=True) if g
        )
        dropped += gone
    np.testing.assert_allclose(dropped / 2000, [0.3, 0.6, 0, 0], atol=0.04)
    for seed in range(20):
        after = ModalityDropout(1.0)(results(seed))
        assert sum(v.any() for v in after['valid'].values()) == 1


def test_dropout_counts_missing_ones_as_gone():
    for seed in range(20):
        given = results(seed)
        for modality in ('uint8', 'uint16', 'int16'):
            given['valid'][modality][:] = False
        assert ModalityDropout(1.0)(given)['valid']['float32'].any()


def test_pack_gives_tensors_that_own_their_memory():
    given = MultiModalRandomFlip(1.0)(results())
    packed = PackMultiModalInputs()(given)
    for modality, image in given['images'].items():
        np.testing.assert_array_equal(packed['inputs'][modality].numpy(), image)
        np.testing.assert_array_equal(
            packed['valid'][modality][0].numpy(), given['valid'][modality]
        )
    assert [t.dtype for t in packed['inputs'].values()] == [
        torch.uint8,
        torch.float32,
        torch.int32,
        torch.int16,
    ]
    assert packed['data_samples'].modalities == ('uint8', 'float32', 'uint16', 'int16')


@pytest.mark.parametrize(
    'transform',
    [
        MultiModalRandomFlip(),
        MultiModalRandomRotate90(),
        MultiModalRandomResizedCrop(16),
        ModalityDropout(0.5),
    ],
)
def test_the_generator_decides_alone(transform):
    np.random.seed(0)
    one = transform(results(3))
    np.random.seed(1)
    two = transform(results(3))
    for part in ('images', 'valid'):
        for modality, array in one[part].items():
            np.testing.assert_array_equal(array, two[part][modality])
