"""Traced and exported at a batch of two, backbones take any other batch."""

import pytest
import torch
from torch import nn

from mssdf.models import (
    DenseVisionTransformer,
    MaskedVisionTransformer,
    MultiModalVisionTransformer,
    SimpleFPN,
)
from mssdf.models.change.two_dates import dates_of, fuse_dates, split_dates

ARCH = dict(embed_dims=48, num_layers=4, num_heads=3, feedforward_channels=96)
MODALITIES = dict(rgb=3, dsm=1)


class Siamese(nn.Module):
    """Features of change detection before its heads."""

    def __init__(self):
        super().__init__()
        self.backbone = DenseVisionTransformer(ARCH, 64)

    def forward(self, images):
        halves = [dates_of(level) for level in self.backbone(split_dates(images))]
        return tuple(fuse_dates(first, second, 'difference') for first, second in halves)


class Pyramid(nn.Module):
    """Features of detection before its heads."""

    def __init__(self):
        super().__init__()
        self.backbone = DenseVisionTransformer(ARCH, 64, window_size=3)
        self.neck = SimpleFPN(in_channels=48, out_channels=16)

    def forward(self, images):
        return self.neck(self.backbone(images))


BACKBONES = {
    'dense': (lambda: DenseVisionTransformer(ARCH, 64, out_indices=(1, 3)), 3),
    'another size': (lambda: DenseVisionTransformer(ARCH, 96), 3),
    'no cls token': (lambda: DenseVisionTransformer(ARCH, 64, with_cls_token=False), 3),
    'windows': (lambda: DenseVisionTransformer(ARCH, 64, window_size=2), 3),
    'windows with padding': (lambda: DenseVisionTransformer(ARCH, 64, window_size=3), 3),
    'masked': (lambda: MaskedVisionTransformer(ARCH, 64), 3),
    'mean': (lambda: MultiModalVisionTransformer(MODALITIES, arch=ARCH, img_size=64), 4),
    'linear': (
        lambda: MultiModalVisionTransformer(MODALITIES, arch=ARCH, img_size=64, fusion='linear'),
        4,
    ),
    'siamese': (Siamese, 6),
    'pyramid': (Pyramid, 3),
}


@pytest.mark.parametrize('way', ['trace', 'export'])
@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning', 'ignore::DeprecationWarning')
def test_the_batch_stays_dynamic(name, way):
    build, bands = BACKBONES[name]
    torch.manual_seed(0)
    model = build()
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False).normal_(std=0.1)
    example = torch.randn(2, bands, 64, 64)
    if way == 'trace':
        other = torch.jit.trace(model, example)
    else:
        shapes = ({0: torch.export.Dim('batch', min=1, max=64)},)
        other = torch.export.export(model, (example,), dynamic_shapes=shapes).module()
    for batch in (1, 2, 5):
        images = torch.randn(batch, bands, 64, 64)
        for found, expected in zip(other(images), model(images), strict=True):
            assert len(expected) == batch and expected.std() > 0
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
