"""Loading: all keys or an error."""

import pytest
import torch
from mmpretrain.models import VisionTransformer

from mssdf.checkpoints import CheckpointError, LoadReport, load_pretrained
from mssdf.models import MaskedVisionTransformer

ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def vit(cls=VisionTransformer, size: int = 64, **settings) -> VisionTransformer:
    """Random everywhere, so that a key left alone shows."""
    arch = settings.pop('arch', ARCH)
    model = cls(arch=arch, img_size=size, **{'out_type': 'raw', **settings})
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter) * 0.2
    model.eval()
    return model


@pytest.fixture
def encoder() -> MaskedVisionTransformer:
    return vit(MaskedVisionTransformer)


@pytest.fixture
def checkpoint(encoder, tmp_path):
    path = tmp_path / 'epoch_3.pth'
    weights = {f'backbone.{name}': value for name, value in encoder.state_dict().items()}
    weights |= {'teacher.backbone.cls_token': torch.zeros(1), 'pixel_head.weight': torch.zeros(2)}
    torch.save(dict(meta=dict(epoch=3), state_dict=weights), path)
    return path


def change(path, function):
    content = torch.load(path, weights_only=True)
    function(content['state_dict'])
    torch.save(content, path)


@pytest.mark.parametrize('size', [64, 96, 224])
def test_plain_vit_gets_every_key_and_the_same_features(encoder, checkpoint, size):
    plain = vit(size=size)
    report = load_pretrained(plain, checkpoint)
    assert report.complete
    assert len(report.loaded) + len(report.resized) == len(plain.state_dict())
    assert [line.split()[0] for line in report.resized] == ([] if size == 64 else ['pos_embed'])
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(plain(image)[0], encoder(image)[0], atol=1e-5, rtol=1e-5)


def test_a_model_is_loaded_at_its_backbone(encoder, checkpoint):
    model = torch.nn.ModuleDict(dict(backbone=vit(), head=torch.nn.Linear(48, 2)))
    assert load_pretrained(model, checkpoint).complete
    assert torch.equal(model.backbone.cls_token, encoder.cls_token)


@pytest.mark.parametrize('prefix', ['teacher.backbone.', 'teacher.backbone'])
def test_another_prefix(encoder, tmp_path, prefix):
    weights = {f'teacher.backbone.{name}': value for name, value in encoder.state_dict().items()}
    torch.save(weights, tmp_path / 'w.pth')
    assert load_pretrained(vit(), tmp_path / 'w.pth', prefix=prefix).complete


def test_a_bare_state_dict(encoder, tmp_path):
    torch.save(encoder.state_dict(), tmp_path / 'w.pth')
    assert load_pretrained(vit(), tmp_path / 'w.pth', prefix='').complete


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (
            lambda w: w.pop('backbone.layers.1.ln1.weight'),
            r'1 missing(.|\n)*missing: layers.1.ln1.weight \(expected \(48,\)\)',
        ),
        (
            lambda w: w.update({'backbone.extra': torch.zeros(7)}),
            r'1 unexpected(.|\n)*unexpected: extra \(found \(7,\)\)',
        ),
        (
            lambda w: w.update({'backbone.ln1.weight': torch.zeros(47)}),
            r'ln1.weight \(expected \(48,\), found \(47,\)\)',
        ),
        (
            lambda w: w.update({'backbone.pos_embed': torch.zeros(1, 16, 48)}),
            r'pos_embed \(expected \(1, 17, 48\), found \(1, 16, 48\)\)',
        ),
        (
            lambda w: [w.pop(name) for name in list(w) if name.startswith('backbone.')],
            r"no key in the file starts with 'backbone.'",
        ),
    ],
    ids=['missing', 'unexpected', 'shape', 'no square', 'no backbone'],
)
def test_strict_loading_fails_and_leaves_the_model_alone(checkpoint, spoil, message):
    change(checkpoint, spoil)
    model = vit()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf'epoch_3\.pth(.|\n)*{message}|{message}') as error:
        load_pretrained(model, checkpoint)
    assert str(checkpoint) in str(error.value)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_without_strict_what_fits_is_loaded_and_the_rest_reported(encoder, checkpoint):
    change(checkpoint, lambda w: w.update({'backbone.ln1.weight': torch.zeros(47)}))
    model = vit()
    before = model.ln1.weight.detach().clone()
    report = load_pretrained(model, checkpoint, strict=False)
    assert not report.complete
    assert len(report.loaded) == len(model.state_dict()) - 1
    assert torch.equal(model.ln1.weight, before)
    assert torch.equal(model.ln1.bias, encoder.ln1.bias)


@pytest.mark.parametrize(
    ('settings', 'key'),
    [
        (dict(arch=ARCH | dict(num_layers=3)), 'missing: layers.2'),
        (dict(arch=ARCH | dict(num_layers=1)), 'unexpected: layers.1'),
        (dict(patch_size=8), r'patch_embed.projection.weight \(expected \(48, 3, 8, 8\)'),
        (dict(in_channels=4), r'patch_embed.projection.weight \(expected \(48, 4, 16, 16\)'),
        (dict(arch='deit-tiny'), r'cls_token \(expected \(1, 1, 192\)'),
    ],
    ids=['deeper', 'shallower', 'patch size', 'bands', 'width'],
)
def test_another_architecture_is_refused(checkpoint, settings, key):
    with pytest.raises(
        CheckpointError, match=rf'^[^\n]*: expected every weight of the model and no other, .*{key}'
    ):
        load_pretrained(vit(**settings), checkpoint)


def test_keys_may_be_excused_by_name(checkpoint):
    """A ViT for averaged features has a norm of its own, one for detection may have none."""
    averaging = vit(out_type='avg_featmap')
    with pytest.raises(CheckpointError, match='2 missing'):
        load_pretrained(averaging, checkpoint)
    report = load_pretrained(averaging, checkpoint, allow_missing=['ln2.'])
    assert report.complete
    assert [line.split()[0] for line in report.allowed] == ['ln2.bias', 'ln2.weight']
    bare = vit(final_norm=False)
    with pytest.raises(CheckpointError, match='2 unexpected'):
        load_pretrained(bare, checkpoint, allow_missing=['ln1.'])
    assert load_pretrained(bare, checkpoint, allow_unexpected='ln1.').complete


@pytest.mark.parametrize('strict', [True, False])
def test_nan_is_not_loaded(checkpoint, strict):
    def spoil(weights):
        weights['backbone.ln1.bias'][3] = float('nan')

    change(checkpoint, spoil)
    with pytest.raises(CheckpointError, match=r"epoch_3\.pth.*NaN in \['ln1\.bias'\]"):
        load_pretrained(vit(), checkpoint, strict=strict)


def test_a_report_is_short():
    report = LoadReport('a.pth', loaded=['x'], missing=[f'k{i:02}' for i in range(40)])
    first, second = str(report).splitlines()
    assert first == 'a.pth: 1 loaded, 0 resized, 0 mismatched, 40 missing, 0 unexpected'
    assert second.endswith('k11, and 28 more')
