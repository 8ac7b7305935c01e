"""Loading by a line of a config, in models of mmpretrain."""

import subprocess
import sys

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.models import VisionTransformer
from mmpretrain.registry import MODELS

from mssdf.checkpoints import CheckpointError
from mssdf.models import MaskedVisionTransformer

ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


@pytest.fixture
def encoder() -> MaskedVisionTransformer:
    encoder = MaskedVisionTransformer(arch=ARCH, img_size=64)
    for parameter in encoder.parameters():
        parameter.data = torch.randn_like(parameter) * 0.2
    encoder.eval()
    return encoder


@pytest.fixture
def checkpoint(encoder, tmp_path):
    weights = {f'backbone.{name}': value for name, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'encoder.pth')
    return str(tmp_path / 'encoder.pth')


def classifier(init_cfg, **settings):
    backbone = dict(
        type='mmpretrain.VisionTransformer', arch=ARCH, img_size=64, init_cfg=init_cfg, **settings
    )
    head = dict(type='mmpretrain.VisionTransformerClsHead', num_classes=3, in_channels=48)
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # earlier runs leave theirs
        return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))


@pytest.mark.parametrize('kind', ['Pretrained', 'mssdf.StrictPretrained'])
def test_the_backbone_of_a_classifier_is_loaded_and_stays_so(encoder, checkpoint, kind):
    model = classifier(dict(type=kind, checkpoint=checkpoint, prefix='backbone.'))
    head_before = model.head.layers.head.weight.detach().clone()
    model.init_weights()
    own = model.backbone.state_dict()
    assert own.keys() == encoder.state_dict().keys()
    assert all(torch.equal(own[name], value) for name, value in encoder.state_dict().items())
    assert not torch.equal(model.head.layers.head.weight, head_before)  # initialized all the same


@pytest.mark.parametrize('size', [64, 96, 224])
@pytest.mark.parametrize('kind', ['Pretrained', 'mssdf.StrictPretrained'])
def test_features_at_any_size(encoder, checkpoint, kind, size):
    init_cfg = dict(type=kind, checkpoint=checkpoint, prefix='backbone.')
    plain = VisionTransformer(arch=ARCH, img_size=size, out_type='raw', init_cfg=init_cfg)
    plain.init_weights()
    plain.eval()
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(plain(image)[0], encoder(image)[0], atol=1e-5, rtol=1e-5)


def test_our_own_backbone(encoder, checkpoint):
    init_cfg = dict(type='mssdf.StrictPretrained', checkpoint=checkpoint)
    other = MaskedVisionTransformer(arch=ARCH, img_size=64, init_cfg=init_cfg)
    other.init_weights()
    assert all(
        torch.equal(value, other.state_dict()[name]) for name, value in encoder.state_dict().items()
    )


def test_a_wrong_checkpoint_stops_the_initialization(checkpoint):
    init_cfg = dict(type='mssdf.StrictPretrained', checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match='expected every weight of the model and no other'):
        classifier(init_cfg, patch_size=8).init_weights()
    with pytest.raises(CheckpointError, match='ln2'):
        classifier(init_cfg, out_type='avg_featmap').init_weights()
    classifier(init_cfg | dict(allow_missing=['ln2.']), out_type='avg_featmap').init_weights()


def test_it_comes_last_or_says_so(encoder, checkpoint):
    ours = dict(type='mssdf.StrictPretrained', checkpoint=checkpoint)
    other = dict(type='Constant', layer='Linear', val=3.0)
    with pytest.raises(ValueError, match='as the last entry, found Constant after it'):
        classifier([ours, other]).init_weights()
    model = classifier([other, ours])
    model.init_weights()
    own = model.backbone.state_dict()
    assert all(torch.equal(own[name], value) for name, value in encoder.state_dict().items())


def test_the_name_alone_imports_it(encoder, checkpoint):
    """In a fresh process that knows mmpretrain only, as a downstream config would."""
    script = f"""
import torch
from mmengine.registry import init_default_scope
from mmpretrain.models import VisionTransformer
from mmpretrain.utils import register_all_modules
register_all_modules()
init_cfg = dict(type='mssdf.StrictPretrained', checkpoint={checkpoint!r})
vit = VisionTransformer(arch={ARCH!r}, img_size=64, init_cfg=init_cfg)
vit.init_weights()
print(vit.state_dict()['layers.1.attn.qkv.weight'].double().sum().item())
"""
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = encoder.layers[1].attn.qkv.weight.double().sum().item()
    assert float(done.stdout.splitlines()[-1]) == pytest.approx(expected, rel=1e-12)
