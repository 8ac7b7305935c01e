"""Publishing and converting from the command line, on the checkpoint of a real pre-training."""

import hashlib
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner
from mmpretrain.models import VisionTransformer
from timm.models import VisionTransformer as TimmViT

from mssdf.checkpoints import load_pretrained, read_checkpoint, read_state_dict

ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)
EMBEDDINGS = ['mssdf.PerModalityPatchEmbedding', 'mssdf.SharedPatchEmbedding']


@pytest.fixture(scope='session')
def tool(project_root):
    """The ``main`` of a tool, by its name."""

    def load(name: str):
        path = project_root / 'tools' / 'model_tools' / f'{name}.py'
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return lambda *arguments: module.main([str(argument) for argument in arguments])

    return load


@pytest.fixture(scope='module', params=EMBEDDINGS, ids=['per modality', 'shared'])
def run(request, project_root, data_root, tmp_path_factory) -> tuple[Runner, Path]:
    """Two steps of the quick start, narrower, saved by the Runner as any run is."""
    work_dir = tmp_path_factory.mktemp('run')
    config = Config.fromfile(project_root / 'configs/pretrain/mssdf_vit-t-p16_quick-start.py')
    narrow = dict(embed_dims=32, num_layers=1, num_heads=2)
    changes = {
        'model.embedding': dict(type=request.param),
        'model.losses': dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=1.0),
        'model.modality_decoder.joint': False,
        'train_dataloader.batch_size': 2,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.dataset.data_root': str(data_root / 'autzen'),
        'train_dataloader.dataset.index.cache_dir': '',
        'train_dataloader.dataset.windows.per_epoch': 4,
        'train_cfg.max_epochs': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 1,
        'work_dir': str(work_dir),
        'experiment_name': f'model-tools-{work_dir.name}',
    }
    changes |= {f'model.fusion_decoder.{key}': value for key, value in narrow.items()}
    changes |= {f'model.modality_decoder.{key}': value for key, value in narrow.items()}
    config.merge_from_dict(changes)
    config.model.backbone.arch = ARCH
    config.model.teacher.average_layers = 2
    for name in ('knn', 'panel'):
        config.default_hooks.pop(name)
    runner = Runner.from_cfg(config)
    runner.train()
    runner.model.eval()
    return runner, work_dir / 'epoch_1.pth'


def features(model: VisionTransformer, image: torch.Tensor) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(image)[0]


def test_a_checkpoint_of_the_runner_is_read_without_running_anything(run):
    runner, path = run
    content = read_checkpoint(path)
    assert {'state_dict', 'optimizer', 'message_hub', 'param_schedulers', 'meta'} <= content.keys()
    assert content['meta']['iter'] == 2
    assert "type='mssdf.MSSDF'" in content['meta']['cfg']
    own = runner.model.state_dict()
    assert content['state_dict'].keys() == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in content['state_dict'].items())


@pytest.mark.parametrize('size', [128, 64, 192])
@pytest.mark.parametrize('published', [False, True])
def test_the_backbone_drops_into_a_plain_vit(run, tool, tmp_path, published, size):
    """With MMEngine's own initializer, from the run's checkpoint as from the published one."""
    runner, path = run
    if published:
        assert tool('publish_model')(path, tmp_path / 'out.pth') == 0
        (path,) = tmp_path.glob('out-*.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    plain = VisionTransformer(arch=ARCH, img_size=size, out_type='raw', init_cfg=init_cfg)
    plain.init_weights()
    own = {f'backbone.{name}': value for name, value in plain.state_dict().items()}
    stored = {k: v for k, v in read_state_dict(path).items() if k.startswith('backbone.')}
    assert own.keys() == stored.keys()
    differ = {name for name in own if not torch.equal(own[name], stored[name])}
    assert differ == (set() if size == 128 else {'backbone.pos_embed'})
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = runner.model.backbone(image)[0]
    torch.testing.assert_close(features(plain, image), expected, atol=1e-5, rtol=1e-5)
    strict = VisionTransformer(arch=ARCH, img_size=size, out_type='raw')
    report = load_pretrained(strict, path)
    assert report.complete
    assert len(report.resized) == (size != 128)
    torch.testing.assert_close(features(strict, image), expected, atol=1e-5, rtol=1e-5)


def test_features_of_a_whole_window_are_those_of_the_student(run):
    """What pre-training computes on an unmasked window, a plain ViT computes from its file."""
    runner, path = run
    plain = VisionTransformer(arch=ARCH, img_size=128, out_type='raw')
    load_pretrained(plain, path)
    student = runner.model
    image = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        tokens = student.embedding('rgb', image, student.backbone.patch_embed)
        tokens = student.backbone.add_positions(tokens, (8, 8))
        expected = student.backbone.encode(tokens)
    torch.testing.assert_close(features(plain, image), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('keep', [False, True])
def test_publishing(run, tool, tmp_path, keep, capsys):
    runner, source = run
    arguments = [source, tmp_path / 'made/out.pth', *(['--keep-decoders'] if keep else [])]
    assert tool('publish_model')(*arguments) == 0
    printed = capsys.readouterr().out
    (path,) = (tmp_path / 'made').iterdir()  # nothing half written beside it
    assert path.stem == f'out-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}'
    assert path.name in printed
    content = torch.load(path, weights_only=True)
    assert content.keys() == {'meta', 'state_dict'}
    assert "type='mssdf.MSSDF'" in content['meta']['cfg']
    assert content['meta']['epoch'] == 1
    own = runner.model.state_dict()
    gone = {name.split('.')[0] for name in own.keys() - content['state_dict'].keys()}
    decoders = {
        'fusion_decoder',
        'modality_decoder',
        'align_head',
        'feature_head',
        'pixel_head',
        'modality_head',
    }
    assert gone == {'teacher'} | (set() if keep else decoders)
    for name in (*gone, 'optimizer', 'message_hub', 'param_schedulers'):
        assert name in printed.splitlines()[1]
    assert all(torch.equal(value, own[name]) for name, value in content['state_dict'].items())
    weights = sum(math.prod(value.shape) * 4 for value in content['state_dict'].values())
    assert path.stat().st_size < weights * 1.05 + 150_000
    assert path.stat().st_size < source.stat().st_size / 2


def test_publishing_leaves_out_what_is_not_plain(tool, tmp_path, capsys):
    """Nothing that a plain `weights_only` would refuse gets into the file."""
    content = dict(
        state_dict={'backbone.x': torch.ones(2)},
        meta=dict(dataset_meta=dict(palette=np.zeros(3)), epoch=1, cfg='model = dict()'),
    )
    torch.save(content, tmp_path / 'epoch_1.pth')
    assert tool('publish_model')(tmp_path / 'epoch_1.pth', tmp_path / 'out.pth') == 0
    assert 'meta.dataset_meta' in capsys.readouterr().out
    (path,) = tmp_path.glob('out-*.pth')
    meta = torch.load(path, weights_only=True)['meta']
    assert (meta['epoch'], meta['cfg']) == (1, 'model = dict()')
    assert 'dataset_meta' not in meta


def timm_checkpoint(path: Path) -> TimmViT:
    vit = TimmViT(
        img_size=64, patch_size=16, embed_dim=48, depth=2, num_heads=3, mlp_ratio=2, num_classes=5
    )
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.save(dict(model=vit.state_dict()), path)
    return vit.eval()


@pytest.mark.parametrize('option', [[], ['--format', 'timm']])
def test_converting(tool, tmp_path, capsys, option):
    vit = timm_checkpoint(tmp_path / 'timm.pth')
    source, target = tmp_path / 'timm.pth', tmp_path / 'ours.pth'
    assert tool('convert_official')(source, target, *option) == 0
    printed = capsys.readouterr().out
    assert f'{target}: {len(vit.state_dict()) - 2} tensors from timm' in printed
    assert 'left out: head (2)' in printed
    init_cfg = dict(type='mssdf.StrictPretrained', checkpoint=str(target))
    plain = VisionTransformer(arch=ARCH, img_size=64, out_type='raw', init_cfg=init_cfg)
    plain.init_weights()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = vit.forward_features(image)
    torch.testing.assert_close(features(plain, image), expected, atol=1e-5, rtol=1e-5)


def test_converting_the_papers_layout(tool, tmp_path, capsys):
    vit = timm_checkpoint(tmp_path / 'timm.pth')
    official = {}
    for name, value in vit.state_dict().items():
        if name.endswith('qkv.bias'):
            stem = f'encoder.{name.removesuffix("qkv.bias")}'
            official[f'{stem}q_bias'], official[f'{stem}v_bias'] = value[:48], value[96:]
        elif not name.startswith(('head', 'pos_embed')):
            official[f'encoder.{name}'] = value
    torch.save(dict(model=official, epoch=3), tmp_path / 'paper.pth')
    arguments = tmp_path / 'paper.pth', tmp_path / 'ours.pth', '--img-size'
    assert tool('convert_official')(*arguments, 96) == 0
    assert 'sinusoid of 36 patches (96 px)' in capsys.readouterr().out
    plain = VisionTransformer(arch=ARCH, img_size=96)
    assert load_pretrained(plain, tmp_path / 'ours.pth').resized == []
    assert tool('convert_official')(*arguments, 100) == 2
    error = capsys.readouterr().err
    assert 'paper.pth: img_size' in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize('name', ['publish_model', 'convert_official'])
def test_wrong_files_give_one_line(tool, name, tmp_path, capsys):
    torch.save(dict(state_dict={'head.fc': torch.zeros(1)}), tmp_path / 'other.pth')
    (tmp_path / 'torn.pth').write_bytes((tmp_path / 'other.pth').read_bytes()[:300])
    for file in ('nowhere.pth', 'other.pth', 'torn.pth'):
        assert tool(name)(tmp_path / file, tmp_path / 'out.pth') == 2
        printed = capsys.readouterr()
        assert len(printed.err.splitlines()) == 1, printed.err
        assert printed.err.startswith(f'{name}.py: ')
        assert file in printed.err
        assert printed.out == ''
    assert not list(tmp_path.glob('out*'))


@pytest.mark.parametrize('name', ['publish_model', 'convert_official'])
def test_a_place_that_cannot_be_written_gives_one_line(tool, name, tmp_path, capsys):
    timm_checkpoint(tmp_path / 'timm.pth')
    source = tmp_path / 'timm.pth'
    if name == 'publish_model':
        assert tool('convert_official')(source, tmp_path / 'ours.pth') == 0
        source = tmp_path / 'ours.pth'
    capsys.readouterr()
    assert tool(name)(source, source / 'below_a_file.pth') == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_converting_in_place_is_refused(tool, tmp_path, capsys):
    timm_checkpoint(tmp_path / 'timm.pth')
    before = (tmp_path / 'timm.pth').read_bytes()
    assert tool('convert_official')(tmp_path / 'timm.pth', tmp_path / '.' / 'timm.pth') == 2
    assert 'another file than SRC' in capsys.readouterr().err
    assert (tmp_path / 'timm.pth').read_bytes() == before


@pytest.mark.parametrize('name', ['publish_model', 'convert_official'])
def test_help_shows_examples(tool, name, capsys):
    with pytest.raises(SystemExit) as done:
        tool(name)('--help')
    assert done.value.code == 0
    assert f'python tools/model_tools/{name}.py' in capsys.readouterr().out
