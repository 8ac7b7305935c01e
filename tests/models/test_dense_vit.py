"""The dense and multi-modal backbones against mmpretrain's plain ViT."""

import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.models import VisionTransformer
from mmseg.structures import SegDataSample

from mssdf.models import (
    DenseVisionTransformer,
    MaskedVisionTransformer,
    MultiModalVisionTransformer,
    SimpleFPN,
)
from mssdf.models.segmentors import MultiModalSegDataPreprocessor
from mssdf.models.utils.window_attention import merge_windows, partition_windows

from .tiny import ARCH

NODATA = float('nan')
SETTINGS = dict(arch=ARCH, img_size=64, out_type='featmap')


def settings(**extra):
    return SETTINGS | dict(out_indices=[0, 2]) | extra


@pytest.fixture
def plain():
    torch.manual_seed(0)
    vit = VisionTransformer(**settings())
    vit.init_weights()
    torch.nn.init.normal_(vit.cls_token, std=0.5)
    return vit


def same(first, second, tolerance=1e-5):
    return all(torch.allclose(a, b, atol=tolerance) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize('size', [(64, 64), (64, 96), (70, 50)])
@pytest.mark.parametrize('window_size', [0, 8])
def test_equals_the_plain_vit(plain, size, window_size):
    """Without windows, and with windows that hold the whole image, padded or not."""
    dense = DenseVisionTransformer(**settings(window_size=window_size, global_blocks=[]))
    dense.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, *size)
    assert same(plain(image), dense(image))


def test_windows_see_nothing_beyond_them(plain):
    """Without a cls token, a window's features are those of its crop, positions apart."""
    extra = settings(with_cls_token=False)
    vit = VisionTransformer(**extra)
    dense = DenseVisionTransformer(
        **settings(with_cls_token=False, window_size=2, global_blocks=[])
    )
    dense.load_state_dict(vit.state_dict())
    torch.nn.init.zeros_(dense.pos_embed)
    torch.nn.init.zeros_(vit.pos_embed)
    image = torch.randn(1, 3, 64, 96)
    crop = vit(image[..., 32:64, 64:96])
    assert same(crop, [level[..., 2:4, 4:6] for level in dense(image)])


def test_global_blocks_see_everything(plain):
    dense = DenseVisionTransformer(**settings(window_size=2, global_blocks=[2]))
    dense.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 64, 64, requires_grad=True)

    # the sum of a layer norm's channels is constant: its gradient would be rounding noise
    channels = torch.randn(ARCH['embed_dims'])

    for level, reaches in zip(dense(image), (False, True), strict=True):
        pixel = level[0, :, 0, 0] @ channels
        (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
        inside, outside = gradient[..., :32, :32].abs().max(), gradient[..., 32:, 32:].abs().max()
        # the cls token carries a little across windows from the second layer on, not in the first
        assert bool(outside > 1e-4 * inside) is reaches


@pytest.mark.parametrize('grid', [(4, 4), (5, 7), (1, 3)])
def test_merging_undoes_partitioning(grid):
    patches = torch.randn(2, grid[0] * grid[1], 6)
    windows, keep = partition_windows(patches, grid, 3)
    assert torch.equal(merge_windows(windows, grid, 3), patches)
    kept = windows.shape[1] * 9 if keep is None else int(keep.sum())
    assert kept == grid[0] * grid[1]


def test_activation_checkpointing_changes_nothing(plain):
    gradients = []
    for checkpointed in (False, True):
        dense = DenseVisionTransformer(**settings(checkpoint_activations=checkpointed))
        dense.load_state_dict(plain.state_dict())
        torch.manual_seed(1)
        sum(level.square().mean() for level in dense(torch.randn(2, 3, 64, 64))).backward()
        gradients.append([parameter.grad for parameter in dense.parameters()])
    assert same(*gradients)


FAMILY = [
    MaskedVisionTransformer,
    DenseVisionTransformer,
    lambda **extra: MultiModalVisionTransformer(dict(rgb=3), **extra),
]


@pytest.mark.parametrize('build', FAMILY)
@pytest.mark.parametrize('size', [(64, 64), (32, 96)])
def test_encode_means_the_same_in_all_of_them(build, size):
    """Patch tokens with positions in, the normed tokens of the last layer out."""
    torch.manual_seed(3)
    vit = build(arch=ARCH, img_size=64, out_type='raw')
    plain = VisionTransformer(arch=ARCH, img_size=64, out_type='raw')
    plain.load_state_dict(vit.state_dict())
    image = torch.randn(2, 3, *size)
    patches, grid = vit.embed(image)
    torch.testing.assert_close(vit.encode(vit.add_positions(patches, grid)), plain(image)[-1])
    torch.testing.assert_close(vit(image), plain(image))


def test_layers_with_windows_ask_for_the_grid(plain):
    dense = DenseVisionTransformer(**settings(window_size=2, global_blocks=[2]))
    patches, grid = dense.embed(torch.randn(1, 3, 64, 64))
    tokens = dense.add_positions(patches, grid)
    expected = dense.levels(patches, grid)[-1]
    torch.testing.assert_close(dense.encode(tokens, grid=grid), expected)
    with pytest.raises(ValueError, match='window_size: expected a grid .* found no grid'):
        dense.encode(tokens)
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    with pytest.raises(ValueError, match='window_size: .* no key mask with it, found a key mask'):
        dense.encode(tokens, mask, grid=grid)


@pytest.mark.parametrize(
    ('depth', 'blocks'), [(12, (2, 5, 8, 11)), (24, (5, 11, 17, 23)), (6, (1, 2, 4, 5))]
)
def test_the_last_layer_of_each_quarter_sees_the_whole_image(depth, blocks):
    arch = ARCH | dict(num_layers=depth)
    assert DenseVisionTransformer(arch=arch, window_size=2).global_blocks == blocks


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(window_size=-1), 'window_size: expected 0 or more'),
        (dict(global_blocks=[3]), r'global_blocks: expected layers from 0 to 2, found \[3\]'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        DenseVisionTransformer(**settings(**wrong))


@pytest.fixture
def multi_modal(plain):
    torch.manual_seed(2)
    vit = MultiModalVisionTransformer(dict(rgb=3, dsm=1), **settings())
    vit.init_weights()
    vit.load_state_dict(plain.state_dict(), strict=False)
    vit.eval()
    return vit


def test_missing_modality_leaves_the_plain_features(plain, multi_modal):
    image = torch.randn(2, 4, 64, 64)
    image[:, 3] = NODATA
    assert same(plain(image[:, :3]), multi_modal(image))


def test_fusion_is_the_mean_of_what_each_image_has(plain, multi_modal):
    """An image's features do not depend on what the others lack."""
    image = torch.randn(3, 4, 64, 64)
    image[0, 3] = NODATA
    image[1, :3] = NODATA
    fused = multi_modal(image)
    for index in range(3):
        assert same(multi_modal(image[index : index + 1]), [f[index : index + 1] for f in fused])
    rgb, dsm = image[2:].clone(), image[2:].clone()
    rgb[:, 3], dsm[:, :3] = NODATA, NODATA
    means = [(a + b) / 2 for a, b in zip(multi_modal(rgb), multi_modal(dsm), strict=True)]
    assert same(means, [level[2:] for level in fused])


@pytest.mark.parametrize('bands', [slice(0, 3), slice(3, 4)], ids=['black', 'flat'])
def test_zeros_are_values(multi_modal, bands):
    """Heights of 0 above ground, or colors at the mean, everywhere: there, and not nodata."""
    image = torch.randn(2, 4, 64, 64)
    image[:, bands] = 0
    assert multi_modal.present(image).tolist() == [[1, 1]] * 2
    other = image.clone()
    other[:, bands] = NODATA
    assert not same(multi_modal(image), multi_modal(other), tolerance=1e-3)
    # the mean of both by itself: zeros go through the encoder as any values do
    alone = image.clone()
    alone[:, 3 if bands.start == 0 else slice(0, 3)] = NODATA
    means = [(a + b) / 2 for a, b in zip(multi_modal(alone), multi_modal(other), strict=True)]
    assert same(means, multi_modal(image))


def test_a_hole_in_a_modality_is_read_as_zero(multi_modal):
    image = torch.randn(2, 4, 64, 60)
    image[0, 3, :20] = NODATA
    filled = image.clone()
    filled[0, 3, :20] = 0
    assert all(level.isfinite().all() for level in multi_modal(image))
    assert same(multi_modal(image), multi_modal(filled), tolerance=0)
    assert multi_modal.present(image).tolist() == [[1, 1]] * 2


def test_padding_of_a_batch_gives_no_image_a_modality(multi_modal):
    """A smaller image without heights beside a larger one with heights, padded by mmseg."""
    small, large = torch.randn(4, 32, 64), torch.randn(4, 64, 64)
    small[3] = NODATA
    preprocessor = MultiModalSegDataPreprocessor(size_divisor=16, bgr_to_rgb=False)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, *image.shape[1:])))
               for image in (small, large)]  # fmt: skip
    batch = preprocessor(dict(inputs=[small, large], data_samples=samples), training=True)
    assert batch['inputs'].shape == (2, 4, 64, 64)
    assert multi_modal.present(batch['inputs']).tolist() == [[1, 0], [1, 1]]
    assert all(level.isfinite().all() for level in multi_modal(batch['inputs']))


def test_linear_fusion_starts_as_the_mean(multi_modal):
    linear = MultiModalVisionTransformer(dict(rgb=3, dsm=1), fusion='linear', **settings())
    linear.init_weights()
    linear.load_state_dict(multi_modal.state_dict(), strict=False)
    linear.eval()
    image = torch.randn(2, 4, 64, 64)
    image[0, 3] = NODATA
    assert same(multi_modal(image), linear(image))


def test_modality_dropout_leaves_one(multi_modal):
    multi_modal.train()
    multi_modal.modality_dropout = 0.9
    images = torch.randn(500, 4, 16, 16)
    torch.manual_seed(0)
    weights = multi_modal.present(images)
    assert weights.sum(dim=1).min() >= 1
    assert 0 < (weights.sum(dim=1) == 1).float().mean() < 1


def test_wrong_number_of_bands(multi_modal):
    with pytest.raises(ValueError, match='expected 4 bands'):
        multi_modal(torch.randn(1, 3, 64, 64))


def test_layer_depth_of_every_parameter(multi_modal):
    depths = {
        name: multi_modal.get_layer_depth(f'backbone.{name}', 'backbone.')
        for name, _ in multi_modal.named_parameters()
    }
    assert {total for _, total in depths.values()} == {5}
    assert depths['embedding.projections.dsm.weight'][0] == 0
    assert depths['patch_embed.projection.weight'][0] == 0
    assert depths['layers.2.ln1.weight'][0] == 3


def test_pyramid_has_its_strides():
    neck = SimpleFPN(48, 32, num_outs=5)
    levels = neck((torch.randn(1, 48, 2, 2), torch.randn(1, 48, 6, 10)))
    shapes = [tuple(level.shape[1:]) for level in levels]
    assert shapes == [(32, 24, 40), (32, 12, 20), (32, 6, 10), (32, 3, 5), (32, 2, 3)]


def test_pyramid_comes_from_the_last_map():
    neck = SimpleFPN(48, 32, num_outs=4)
    last = torch.randn(1, 48, 4, 4)
    assert same(neck((torch.randn(1, 48, 4, 4), last)), neck((last,)))
