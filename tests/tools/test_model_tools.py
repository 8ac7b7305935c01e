"""Publishing and converting from the command line, on a checkpoint of the real model."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmpretrain.models import VisionTransformer
from timm.models import VisionTransformer as TimmViT

import mssdf.models  # noqa: F401  registers
from mssdf.registry import MODELS
from mssdf.utils import load_pretrained

ROOT = Path(__file__).resolve().parents[2]
ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def run(tool: str, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / 'tools' / 'model_tools' / tool, *map(str, arguments)],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope='module')
def model():
    config = Config.fromfile(ROOT / 'configs/_base_/models/mssdf-paper_vit-b-p16.py').model
    config.data_preprocessor.modalities = dict(
        rgb=dict(mean=[100.0] * 3, std=[50.0] * 3), dsm=dict(mean=[0.0], std=[10.0])
    )
    config.backbone.update(arch=ARCH, img_size=64)
    model = MODELS.build(config)
    model.init_weights()
    model.eval()
    return model


@pytest.mark.parametrize('keep', [False, True])
def test_published_checkpoint_drops_in(model, tmp_path, keep):
    source = tmp_path / 'epoch_1.pth'
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    torch.save(
        dict(
            state_dict=model.state_dict(), optimizer=optimizer.state_dict(), meta=dict(epoch=1)
        ),
        source,
    )
    done = run(
        'publish_model.py', source, tmp_path / 'out.pth', *(['--keep-decoders'] if keep else [])
    )
    assert done.returncode == 0, done.stderr
    (published,) = tmp_path.glob('out-*.pth')
    assert published.name in done.stdout
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert published.stem == f'out-{digest[:8]}'
    content = torch.load(published, weights_only=True)
    assert content.keys() == {'meta', 'state_dict'}
    assert content['meta'] == dict(epoch=1)
    names = {name.split('.')[0] for name in content['state_dict']}
    assert 'teacher' not in names
    assert ('fusion_decoder' in names) == keep
    plain = VisionTransformer(arch=ARCH, img_size=64, out_type='raw')
    assert load_pretrained(plain, published).whole
    plain.eval()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(plain(image)[0], model.backbone(image)[0])


@pytest.mark.parametrize('wrapped', [True, False])
def test_convert_from_the_command_line(tmp_path, wrapped):
    vit = TimmViT(img_size=64, patch_size=16, embed_dim=48, depth=2, num_heads=3, mlp_ratio=2)
    weights = vit.state_dict()
    torch.save(dict(model=weights) if wrapped else weights, tmp_path / 'timm.pth')
    done = run('convert_official.py', tmp_path / 'timm.pth', tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert 'from timm' in done.stdout
    assert 'left out: head.bias, head.weight' in done.stdout
    (converted,) = tmp_path.glob('ours-*.pth')
    plain = VisionTransformer(arch=ARCH, img_size=64, out_type='raw')
    assert load_pretrained(plain, converted).whole


@pytest.mark.parametrize('tool', ['publish_model.py', 'convert_official.py'])
def test_wrong_files_give_one_line(tool, tmp_path):
    torch.save(dict(state_dict={'head.fc': torch.zeros(1)}), tmp_path / 'other.pth')
    for name in ('nowhere.pth', 'other.pth'):
        done = run(tool, tmp_path / name, tmp_path / 'out.pth')
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert done.stderr.startswith('error: ')
