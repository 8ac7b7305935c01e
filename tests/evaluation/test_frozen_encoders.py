"""Encoders from checkpoints beside the forward passes of the models they are of."""

import pytest
import torch
from encoder_files import ARCH, STATISTICS, write_mae, write_ours
from mmengine.config import Config
from mmpretrain.models import ResNet, VisionTransformer

from mssdf.checkpoints.inflate import load_multi_modal
from mssdf.checkpoints.strict_load import CheckpointError
from mssdf.evaluation.frozen import EncoderFile
from mssdf.evaluation.frozen.baselines import ImageStatistics, RandomConvolutions
from mssdf.models import MaskedVisionTransformer
from mssdf.models.backbones import MultiModalVisionTransformer


def colors(count=2, size=64):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)


def everywhere(images):
    return torch.ones(len(images), 1, *images.shape[2:], dtype=torch.bool)


def normalized(images):
    mean, std = (torch.tensor(STATISTICS['rgb'][key]).view(3, 1, 1) for key in ('mean', 'std'))
    return (images.float() - mean) / std


@pytest.mark.parametrize('write', [write_ours, write_mae])
@pytest.mark.parametrize('size', [64, 96])
def test_tokens_are_those_of_the_plain_vit(tmp_path, write, size):
    path = write(tmp_path / 'a.pth')
    images = colors(size=size)
    tokens = EncoderFile(path).trained()('rgb', images, everywhere(images))
    vit = VisionTransformer(arch=ARCH, img_size=64, patch_size=16, out_type='raw')
    state = torch.load(path)['state_dict']
    own = {k.removeprefix('backbone.'): v for k, v in state.items() if k.startswith('backbone.')}
    vit.load_state_dict(own)
    vit.eval()
    with torch.no_grad():
        expected = vit(normalized(images))[0]
    torch.testing.assert_close(tokens.patches, expected[:, 1:])
    torch.testing.assert_close(tokens.pooled['cls'], expected[:, 0])
    torch.testing.assert_close(tokens.pooled['mean'], expected[:, 1:].mean(dim=1))


@pytest.mark.parametrize('kind', ['PerModalityPatchEmbedding', 'SharedPatchEmbedding'])
def test_tokens_of_heights_are_those_of_the_multi_modal_backbone(tmp_path, kind):
    path = write_ours(tmp_path / 'a.pth', embedding=kind)
    heights = torch.randn(2, 1, 64, 64) * 10 + 500
    valid = torch.rand(2, 1, 64, 64) < 0.9
    encoder = EncoderFile(path).trained()
    assert encoder.takes('rgb') and encoder.takes('dsm') and not encoder.takes('ms')
    tokens = encoder('dsm', heights, valid).patches

    model = MultiModalVisionTransformer(
        modalities=dict(rgb=3, dsm=1),
        embedding=dict(type=f'mssdf.{kind}'),
        arch=ARCH,
        img_size=64,
        out_type='raw',
    )
    load_multi_modal(model, path)
    model.eval()
    median = torch.stack([one[known].median() for one, known in zip(heights, valid, strict=True)])
    relative = ((heights - median.view(2, 1, 1, 1)) / 8).masked_fill(~valid, torch.nan)
    colors = torch.full((2, 3, 64, 64), torch.nan)  # nodata, and so left out of the fusion
    with torch.no_grad():
        expected = model(torch.cat([colors, relative], dim=1))[0]
    torch.testing.assert_close(tokens, expected[:, 1:])


def test_mae_has_no_heights_and_the_untrained_encoder_is_the_initialized_one(tmp_path):
    file = EncoderFile(write_mae(tmp_path / 'mae.pth', seed=3))
    assert not file.trained().takes('dsm')
    ours = EncoderFile(write_ours(tmp_path / 'ours.pth', seed=3))
    untrained, trained = ours.untrained(), ours.trained()
    assert untrained.takes('dsm')
    torch.manual_seed(0)
    expected = MaskedVisionTransformer(arch=ARCH, img_size=64)
    torch.testing.assert_close(untrained.vit.pos_embed, expected.pos_embed)
    weights = untrained.vit.patch_embed.projection.weight
    bound = (6 / (48 + 3 * 256)) ** 0.5  # Xavier, as MAE starts
    assert weights.abs().max() <= bound and weights.std() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert not torch.equal(weights, trained.vit.patch_embed.projection.weight)
    again = EncoderFile(tmp_path / 'ours.pth').untrained()
    assert torch.equal(weights, again.vit.patch_embed.projection.weight)
    other = EncoderFile(write_ours(tmp_path / 'other.pth', seed=4))
    assert not torch.equal(weights, other.untrained().vit.patch_embed.projection.weight)
    assert ours.untrained_identity != other.untrained_identity
    assert ours.architecture == other.architecture == file.architecture
    assert file.num_modalities == ours.num_modalities == 2


def test_the_identity_is_that_of_the_content(tmp_path):
    path = write_ours(tmp_path / 'a.pth')
    copy = tmp_path / 'b.pth'
    copy.write_bytes(path.read_bytes())
    assert EncoderFile(path).identity == EncoderFile(copy).identity
    assert EncoderFile(path, mean=[0] * 3, std=[1] * 3).identity != EncoderFile(path).identity
    assert EncoderFile(write_ours(copy, seed=1)).identity != EncoderFile(path).identity


@pytest.mark.parametrize('settings', [{}, dict(init_values=1e-5)], ids=['plain', 'layer scale'])
def test_a_checkpoint_of_timm_gives_what_timm_gives(tmp_path, settings):
    timm = pytest.importorskip('timm')
    model = timm.create_model(
        'vit_tiny_patch16_224', img_size=64, depth=2, num_classes=0, **settings
    )
    model.eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    images = colors()
    encoder = EncoderFile(tmp_path / 'timm.pth').trained()
    found = encoder('rgb', images, everywhere(images))
    mean, std = (
        255 * torch.tensor(values).view(3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        expected = model.forward_features((images.float() - mean) / std)
    torch.testing.assert_close(found.patches, expected[:, 1:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.pooled['cls'], expected[:, 0], atol=1e-4, rtol=1e-4)
    assert encoder.normalization == "ImageNet's"
    assert EncoderFile(tmp_path / 'timm.pth').untrained().takes('rgb')

    # MAE's release: the same names, with a decoder beside
    state = model.state_dict() | dict(mask_token=torch.zeros(1, 1, 8))
    torch.save(dict(model=state), tmp_path / 'mae.pth')
    given = EncoderFile(
        tmp_path / 'mae.pth', mean=mean.flatten().tolist(), std=std.flatten().tolist()
    )
    again = given.trained()
    torch.testing.assert_close(again('rgb', images, everywhere(images)).patches, found.patches)
    assert again.normalization == 'given'


def test_feature_maps_of_another_backbone(tmp_path):
    backbone = ResNet(18)
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    config = Config(dict(model=dict(backbone=dict(type='mmpretrain.ResNet', depth=18))))
    path = tmp_path / 'resnet.pth'
    torch.save(dict(meta=dict(cfg=config.pretty_text), state_dict=state), path)
    with pytest.raises(ValueError, match='resnet.pth: expected mean and std of RGB, found none'):
        EncoderFile(path).trained()
    encoder = EncoderFile(path, mean=[100.0] * 3, std=[50.0] * 3).trained()
    images = colors()
    tokens = encoder('rgb', images, everywhere(images))
    backbone.eval()
    with torch.no_grad():
        maps = backbone((images.float() - 100) / 50)[-1]
    assert encoder.patch_size(64) == 32
    torch.testing.assert_close(tokens.patches, maps.flatten(2).transpose(1, 2))


def test_wrong_checkpoints_are_told(tmp_path):
    path = write_ours(tmp_path / 'a.pth')
    content = torch.load(path)
    del content['state_dict']['backbone.ln1.weight']
    torch.save(content, path)
    with pytest.raises(CheckpointError, match='ln1.weight'):
        EncoderFile(path).trained()
    torch.save(dict(state_dict={'stem.weight': torch.zeros(1)}), path)
    with pytest.raises(CheckpointError, match='a.pth: keys: expected those of one of'):
        EncoderFile(path).trained()
    with pytest.raises(CheckpointError, match='expected a checkpoint file, found none'):
        EncoderFile(tmp_path / 'gone.pth').identity  # noqa: B018
    images = colors(size=72)
    encoder = EncoderFile(write_ours(path)).trained()
    with pytest.raises(ValueError, match='img_size: expected a multiple of the patch size 16'):
        encoder('rgb', images, everywhere(images))


def test_statistics_are_those_of_a_loop():
    images = colors()
    tokens = ImageStatistics()('rgb', images, everywhere(images))
    values = images[1].numpy() / 255
    gradient = abs(values[:, 1:] - values[:, :-1]).mean() / 2
    gradient += abs(values[:, :, 1:] - values[:, :, :-1]).mean() / 2
    expected = [*values.mean(axis=(1, 2)), *values.std(axis=(1, 2)), gradient]
    torch.testing.assert_close(
        tokens.pooled['image'][1], torch.tensor(expected), atol=1e-5, rtol=0, check_dtype=False
    )
    patch = values[:, 16:32, 48:64]  # the eighth of 4 x 4
    expected = [*patch.mean(axis=(1, 2)), *patch.std(axis=(1, 2))]
    torch.testing.assert_close(
        tokens.patches[1, 7], torch.tensor(expected), atol=1e-4, rtol=0, check_dtype=False
    )


def test_random_convolutions_are_fixed_and_see_their_patch():
    images = colors()
    first = RandomConvolutions(filters=8)('rgb', images, everywhere(images))
    changed = images.clone()
    changed[:, :, :16, :16] = 0
    second = RandomConvolutions(filters=8)('rgb', changed, everywhere(images))
    assert first.patches.shape == (2, 16, 8)
    torch.testing.assert_close(first.patches[:, 2:4], second.patches[:, 2:4], rtol=0, atol=0)
    assert (first.patches[:, 0] != second.patches[:, 0]).any()
    torch.testing.assert_close(first.pooled['image'], first.patches.mean(dim=1))
