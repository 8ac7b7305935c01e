import numpy as np
import pytest
import torch
from mmpretrain.models import MAEViT, ResNet, VisionTransformer

from mssdf.errors import ConfigError
from mssdf.evaluation.frozen_encoder import extract_features, plain_vit
from mssdf.models import MaskedVisionTransformer

ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def encoder(kind):
    torch.manual_seed(1)
    backbone = kind(arch=ARCH, img_size=64, patch_size=16, drop_path_rate=0.5)
    backbone.init_weights()
    backbone.train()
    return backbone


@pytest.mark.parametrize('kind', [MaskedVisionTransformer, MAEViT])
def test_plain_vit_has_the_weights_and_gives_their_features(kind):
    backbone = encoder(kind)
    vit = plain_vit(backbone, dict(type='x', drop_path_rate=0.5, mask_ratio=0.75))
    assert type(vit) is VisionTransformer
    assert not vit.training and backbone.training
    assert all(
        torch.equal(value, backbone.state_dict()[key]) for key, value in vit.state_dict().items()
    )
    images = torch.randint(0, 256, (5, 3, 96, 96), dtype=torch.uint8)
    features = extract_features(vit, images, [100, 110, 120], [50, 60, 70], batch_size=2)
    mean = torch.tensor([100.0, 110, 120])[:, None, None]
    std = torch.tensor([50.0, 60, 70])[:, None, None]
    backbone.eval()
    with torch.no_grad():  # the plain forward of the backbone's parent, one image at a time
        tokens = [
            VisionTransformer.forward(backbone, ((image.float() - mean) / std)[None])[0][0]
            for image in images
        ]
    expected = torch.stack([one[1:].mean(dim=0) for one in tokens]).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-5)
    cls = extract_features(vit, images, [100, 110, 120], [50, 60, 70], pool='cls')
    np.testing.assert_allclose(cls, torch.stack([one[0] for one in tokens]).numpy(), atol=1e-5)


def test_other_backbones_and_settings_that_do_not_fit():
    with pytest.raises(ConfigError, match='found ResNet'):
        plain_vit(ResNet(18))
    with pytest.raises(RuntimeError, match='ln1'):
        plain_vit(encoder(MaskedVisionTransformer), dict(final_norm=False))


def test_wrong_options():
    vit, images = plain_vit(encoder(MaskedVisionTransformer)), torch.zeros(1, 3, 64, 64)
    with pytest.raises(ValueError, match='pool'):
        extract_features(vit, images, [0] * 3, [1] * 3, pool='max')
    with pytest.raises(ValueError, match='expected 3 numbers each.*found 4'):
        extract_features(vit, images, [0] * 4, [1] * 4)
