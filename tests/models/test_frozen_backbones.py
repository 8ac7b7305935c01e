"""Frozen encoders: nothing in them learns, and nothing in them is random."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import VisionTransformer

from mssdf.cli.overlays import read_with_overlays
from mssdf.models import MultiModalVisionTransformer

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
FOLDERS = [
    'change_detection', 'classification', 'detection', 'height_estimation', 'rotated_detection',
    'segmentation',
]  # fmt: skip
ARCH = dict(embed_dims=48, num_layers=4, num_heads=3, feedforward_channels=96)


def examples():
    """One shipped config of each family, model and size, with its overlays."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((CONFIGS / folder).glob('*.py')):
            model = path.name.split('_')[1]  # vit-b-p16-upernet
            overlays = [] if '-linear_' in path.name else ['frozen']
            found.setdefault((folder, model), (path, overlays))
            if '-b-' in model:
                name = model.replace('-b-', '-l-')
                found.setdefault((folder, name), (path, ['large', *overlays]))
    return found


def test_every_family_and_size_has_one():
    names = {(folder, name.split('-')[1]) for folder, name in examples()}
    assert names == {(folder, size) for folder in FOLDERS for size in 'tbl'}


def arch_of(backbone):
    """Widths and depth, which a config may name."""
    arch = backbone.arch
    if isinstance(arch, dict):
        return arch
    return next(known for names, known in VisionTransformer.arch_zoo.items() if arch in names)


def passes(backbone, inputs):
    """Outputs of two passes in training and one in evaluation, with different random states."""
    outputs = []
    with torch.no_grad():
        for seed, mode in ((1, True), (2, True), (3, False)):
            torch.manual_seed(seed)
            backbone.train(mode)
            outputs.append([level.clone() for level in backbone(inputs)])
    return outputs


@pytest.mark.parametrize(('path', 'overlays'), examples().values(), ids=map('/'.join, examples()))
def test_shipped_configs(path, overlays):
    config = read_with_overlays(path, overlays)
    # narrow, for speed, and as deep as it is
    depth = arch_of(config.model.backbone)['num_layers']
    config.model.backbone.arch = dict(ARCH, num_layers=depth)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        backbone = MODELS.build(config.model.backbone)
    first, second, evaluated = passes(backbone, torch.randn(2, 3, 64, 64))
    for one, other, known in zip(first, second, evaluated, strict=True):
        assert torch.equal(one, other) and torch.equal(one, known)
        assert one.std() > 0
    backbone.train()
    # the last norm is of the layers after which the maps are taken
    assert {name for name, value in backbone.named_parameters() if value.requires_grad} == set()


@pytest.mark.parametrize('fusion', ['mean', 'linear'])
def test_several_modalities(fusion):
    backbone = MultiModalVisionTransformer(
        dict(rgb=3, dsm=1), arch=ARCH, img_size=64, drop_path_rate=0.5, drop_rate=0.5,
        frozen_stages=4, out_indices=(1, 3), fusion=fusion,
    )  # fmt: skip
    first, second, evaluated = passes(backbone, torch.randn(2, 4, 64, 64))
    for one, other, known in zip(first, second, evaluated, strict=True):
        assert torch.equal(one, other) and torch.equal(one, known)
    backbone.train()
    learns = {name for name, value in backbone.named_parameters() if value.requires_grad}
    assert learns == {name for name in backbone.state_dict() if name.startswith('fusions.')}


def test_the_stages_that_are_not_frozen_stay_random():
    backbone = MultiModalVisionTransformer(
        dict(rgb=3), arch=ARCH, img_size=64, drop_path_rate=0.5, frozen_stages=2,
        out_indices=(1, 3),
    )  # fmt: skip
    first, second, evaluated = passes(backbone, torch.randn(8, 3, 64, 64))
    assert torch.equal(first[0], second[0]) and torch.equal(first[0], evaluated[0])
    assert not torch.equal(first[1], second[1])
