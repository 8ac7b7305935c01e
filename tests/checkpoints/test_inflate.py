"""A pre-training checkpoint in the multi-modal backbone, and what it has not seen."""

import pytest
import torch
from models.tiny import ARCH, tiny_model

from mssdf.checkpoints import CheckpointError
from mssdf.checkpoints.inflate import inflate_kernel
from mssdf.models import MultiModalVisionTransformer


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A model of RGB and DSM, and its checkpoint."""
    model = tiny_model(**{'embedding.type': 'mssdf.PerModalityPatchEmbedding'})
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return model, str(path)


def build(path, modalities, **settings):
    init_cfg = dict(type='mssdf.MultiModalPretrained', checkpoint=path, **settings.pop('init', {}))
    backbone = MultiModalVisionTransformer(
        modalities, arch=dict(ARCH), img_size=64, out_type='raw', init_cfg=init_cfg, **settings
    )
    backbone.init_weights()
    backbone.eval()
    return backbone


def test_features_are_those_of_pre_training(pretrained):
    """Each modality alone gives what the pre-trained encoder gives for it, unmasked."""
    model, path = pretrained
    backbone = build(path, dict(rgb=3, dsm=1))
    image = torch.randn(2, 4, 64, 64)
    for name, bands in (('rgb', slice(0, 3)), ('dsm', slice(3, 4))):
        alone = torch.full_like(image, torch.nan)  # nodata
        alone[:, bands] = image[:, bands]
        tokens = model.embedding(name, image[:, bands], model.backbone.patch_embed)
        expected = model.backbone.encode(model.backbone.add_positions(tokens, (4, 4)))
        assert torch.allclose(backbone(alone)[0], expected, atol=1e-5)


def test_unseen_modality_is_made_from_rgb_and_said(pretrained, caplog):
    model, path = pretrained
    backbone = build(path, dict(rgb=3, nir=2))
    kernel = model.backbone.patch_embed.projection.weight
    made = backbone.embedding.projections['nir'].weight
    assert torch.allclose(made, inflate_kernel(kernel, 2))
    assert not backbone.embedding.projections['nir'].bias.any()


def test_more_bands_in_the_primary_keep_the_known_kernels(pretrained):
    model, path = pretrained
    backbone = build(path, dict(ms=6), primary='ms', init=dict(rgb_bands=[3, 2, 1]))
    kernel = model.backbone.patch_embed.projection.weight
    assert torch.allclose(
        backbone.patch_embed.projection.weight[:, [3, 2, 1]], kernel / 2, atol=1e-6
    )


def test_gray_image_gives_the_same_response_in_any_number_of_bands():
    kernel = torch.randn(8, 3, 4, 4)
    gray = torch.randn(1, 1, 4, 4)
    expected = torch.nn.functional.conv2d(gray.expand(-1, 3, -1, -1), kernel)
    for bands in (1, 3, 13):
        response = torch.nn.functional.conv2d(
            gray.expand(-1, bands, -1, -1), inflate_kernel(kernel, bands)
        )
        assert torch.allclose(response, expected, atol=1e-4)


def test_wrong_rgb_bands():
    with pytest.raises(ValueError, match='expected 3 different bands from 0 to 4'):
        inflate_kernel(torch.zeros(8, 3, 4, 4), 5, (0, 1, 5))


def test_another_architecture_is_refused(pretrained):
    _, path = pretrained
    with pytest.raises(CheckpointError, match='expected every weight of the model and no other'):
        build(path, dict(rgb=3), patch_size=8)


def test_a_file_without_a_backbone_is_refused(tmp_path):
    path = tmp_path / 'empty.pth'
    torch.save(dict(state_dict=dict(head=torch.zeros(1))), path)
    with pytest.raises(CheckpointError, match="no key in the file starts with 'backbone.'"):
        build(str(path), dict(rgb=3))
