"""Loading: all keys or an error, and nothing in a file is run."""

import os

import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.models import VisionTransformer
from mmpretrain.registry import MODELS

from mssdf.models import MaskedVisionTransformer
from mssdf.utils import CheckpointError, load_pretrained, read_checkpoint, read_state_dict

ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def vit(cls=VisionTransformer, size: int = 64, **settings) -> VisionTransformer:
    model = cls(arch=settings.pop('arch', ARCH), img_size=size, out_type='raw', **settings)
    model.init_weights()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    model.eval()
    return model


@pytest.fixture
def encoder() -> MaskedVisionTransformer:
    return vit(MaskedVisionTransformer)


@pytest.fixture
def checkpoint(encoder, tmp_path):
    """As MMEngine writes one: log buffers, NumPy scalars and all."""
    hub = MessageHub('checkpoint-test')
    for step in range(3):
        hub.update_scalar('train/loss', torch.tensor(1.0 / (step + 1)))
    path = tmp_path / 'epoch_3.pth'
    weights = {f'backbone.{name}': value for name, value in encoder.state_dict().items()}
    weights |= {'teacher.backbone.cls_token': torch.zeros(1), 'pixel_head.weight': torch.zeros(2)}
    content = dict(meta=dict(epoch=3), state_dict=weights, message_hub=hub.state_dict())
    torch.save(content, path)
    return path


def change(path, function):
    content = torch.load(path, weights_only=False)
    function(content['state_dict'])
    torch.save(content, path)


@pytest.mark.parametrize('size', [64, 96, 224])
def test_plain_vit_gets_every_key_and_the_same_features(encoder, checkpoint, size):
    plain = vit(size=size)
    report = load_pretrained(plain, checkpoint)
    assert report.whole
    assert len(report.loaded) + len(report.resized) == len(plain.state_dict())
    assert [line.split()[0] for line in report.resized] == ([] if size == 64 else ['pos_embed'])
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(plain(image)[0], encoder(image)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', ['Pretrained', 'mssdf.StrictPretrained'])
def test_init_cfg_in_an_image_classifier(encoder, checkpoint, kind):
    init_cfg = dict(type=kind, checkpoint=str(checkpoint), prefix='backbone.')
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(
                type='mmpretrain.VisionTransformer', arch=ARCH, img_size=64, init_cfg=init_cfg
            ),
            head=dict(type='mmpretrain.VisionTransformerClsHead', num_classes=3, in_channels=48),
        )
    )
    model.init_weights()
    own = model.backbone.state_dict()
    assert own.keys() == encoder.state_dict().keys()
    assert all(torch.equal(own[name], value) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda w: w.pop('backbone.layers.1.ln1.weight'), r'1 missing(.|\n)*layers.1.ln1.weight'),
        (lambda w: w.update({'backbone.extra': torch.zeros(1)}), r'1 unexpected(.|\n)*extra'),
        (
            lambda w: w.update({'backbone.ln1.weight': torch.zeros(47)}),
            r'ln1.weight \(expected \(48,\), found \(47,\)\)',
        ),
        (
            lambda w: [w.pop(name) for name in list(w) if name.startswith('backbone.')],
            r"no key starts with 'backbone.'",
        ),
    ],
)
def test_strict_loading_fails_and_leaves_the_model_alone(checkpoint, spoil, message):
    change(checkpoint, spoil)
    model = vit()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(model, checkpoint)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not load_pretrained(model, checkpoint, strict=False).whole


@pytest.mark.parametrize(
    'settings',
    [dict(arch=ARCH | dict(num_layers=3)), dict(patch_size=8), dict(arch='deit-tiny')],
    ids=['depth', 'patch size', 'width'],
)
def test_another_architecture_is_refused(checkpoint, settings):
    with pytest.raises(CheckpointError, match='not loaded whole'):
        load_pretrained(vit(**settings), checkpoint)


class Malicious:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    trap, path = tmp_path / 'trap', tmp_path / 'bad.pth'
    torch.save(dict(state_dict={'backbone.x': torch.zeros(1)}, meta=Malicious(trap)), path)
    with pytest.raises(CheckpointError, match='bad.pth holds more than tensors'):
        read_checkpoint(path)
    assert not trap.exists()


def test_log_buffers_are_not_rebuilt(checkpoint):
    """What MMEngine pickles beside the weights becomes inert; `getattr` is never called."""
    hub = read_checkpoint(checkpoint)['message_hub']
    assert type(hub['log_scalars']['train/loss']).__name__ == '_Ignored'


def test_torn_missing_and_wrong_files_name_themselves(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match='no file .*nowhere.pth'):
        read_state_dict(tmp_path / 'nowhere.pth')
    whole = checkpoint.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 10):
        checkpoint.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match='epoch_3.pth'):
            read_state_dict(checkpoint)
    text = tmp_path / 'notes.txt'
    text.write_text('no checkpoint')
    with pytest.raises(CheckpointError, match='notes.txt'):
        read_state_dict(text)
    empty = tmp_path / 'empty.pth'
    torch.save(dict(state_dict={}), empty)
    with pytest.raises(CheckpointError, match='holds no weights'):
        read_state_dict(empty)


@pytest.mark.parametrize('key', ['state_dict', 'model', None])
def test_weights_are_found_wherever_they_lie(tmp_path, key):
    weights = {'module.backbone.x': torch.ones(2)}
    torch.save({key: weights} if key else weights, tmp_path / 'w.pth')
    assert list(read_state_dict(tmp_path / 'w.pth')) == ['backbone.x']
