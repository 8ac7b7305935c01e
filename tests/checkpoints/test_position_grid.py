"""Positions of oblong grids: the sides are compared, 8 x 16 is not 16 x 8."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.models import VisionTransformer
from timm.models import VisionTransformer as TimmViT

from mssdf.checkpoints import CheckpointError, convert, load_pretrained
from mssdf.checkpoints.inflate import load_multi_modal
from mssdf.checkpoints.position_grid import stored_grid
from mssdf.engine import StrictCheckpointHook
from mssdf.engine.fsdp_strategy import FSDPStrategy
from mssdf.engine.resume import WEIGHTS_SCHEME, load_weights
from mssdf.models import DenseVisionTransformer, MultiModalVisionTransformer

ROOT = Path(__file__).resolve().parents[2]
ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def load_tool(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def vit(rows, cols, kind=VisionTransformer, **settings):
    """A ViT whose first two position features are the row and the column of a patch."""
    model = kind(arch=ARCH, img_size=(rows * 16, cols * 16), out_type='raw', **settings)
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).float()
    torch.nn.init.normal_(model.pos_embed, std=0.2)
    model.pos_embed.data[0, 1:, :2] = places
    model.eval()  # mmpretrain's returns None
    return model


def save(model, path, rows, cols, told='config'):
    """Keep a model as the backbone of a checkpoint that tells its image size, or does not."""
    meta = {}
    if told == 'config':
        backbone = dict(type='VisionTransformer', img_size=(rows * 16, cols * 16), patch_size=16)
        meta = dict(cfg=Config(dict(model=dict(backbone=backbone))).pretty_text)
    elif told == 'grid':
        meta = dict(grid=[rows, cols])
    weights = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    torch.save(dict(meta=meta, state_dict=weights), path)
    return path


def assert_places(positions, source, target):
    """Rows and columns of the source at the new patches, by OpenCV's cubic kernel."""
    rows, cols = np.mgrid[: source[0], : source[1]].astype(np.float32)
    found = positions[0, 1:].detach().unflatten(0, target)
    for feature, values in enumerate((rows, cols)):
        expected = cv2.resize(values, target[::-1], interpolation=cv2.INTER_CUBIC)
        np.testing.assert_allclose(found[..., feature], expected, atol=1e-4)


GRIDS = [((8, 16), (16, 8)), ((16, 16), (8, 32)), ((8, 32), (16, 16)), ((8, 16), (12, 12))]


@pytest.mark.parametrize('told', ['config', 'grid'])
@pytest.mark.parametrize(('source', 'target'), GRIDS)
def test_other_sides_are_resized(source, target, told, tmp_path):
    path = save(vit(*source), tmp_path / 'x.pth', *source, told)
    model = vit(*target)
    report = load_pretrained(model, path)
    assert report.complete
    (line,) = report.resized
    assert f'a grid of {source[0]} x {source[1]} -> {target[0]} x {target[1]}' in line
    assert_places(model.pos_embed, source, target)


@pytest.mark.parametrize('grid', [(8, 16), (8, 32)])
def test_the_same_sides_are_taken_as_they_are(grid, tmp_path):
    encoder, model = vit(*grid), vit(*grid)
    report = load_pretrained(model, save(encoder, tmp_path / 'x.pth', *grid))
    assert not report.resized and torch.equal(model.pos_embed, encoder.pos_embed)


@pytest.mark.parametrize('target', [(16, 8), (8, 16), (12, 12)])
def test_sides_that_the_file_does_not_tell_are_refused(target, tmp_path):
    path = save(vit(8, 16), tmp_path / 'x.pth', 8, 16, told='nothing')
    model = vit(*target)
    before = model.pos_embed.detach().clone()
    with pytest.raises(CheckpointError, match=r'1 mismatched(.|\n)*pos_embed \(expected'):
        load_pretrained(model, path)
    assert torch.equal(model.pos_embed, before)


def test_a_square_is_taken_for_one_where_nothing_is_told(tmp_path):
    path = save(vit(16, 16), tmp_path / 'x.pth', 16, 16, told='nothing')
    model = vit(8, 32)
    load_pretrained(model, path)
    assert_places(model.pos_embed, (16, 16), (8, 32))


def test_several_modalities(tmp_path):
    path = save(vit(8, 16), tmp_path / 'x.pth', 8, 16)
    model = vit(16, 8, lambda **kw: MultiModalVisionTransformer(dict(rgb=3), **kw))
    load_multi_modal(model, path)
    assert_places(model.pos_embed, (8, 16), (16, 8))


@pytest.mark.parametrize('source', [(8, 16), (16, 16)])
def test_a_run_that_starts_from_weights(source, tmp_path):
    """``load_from``, where MMEngine's runner loads what the hook leaves it."""
    target = (16, 8) if source == (8, 16) else (8, 32)
    path = save(vit(*source), tmp_path / 'x.pth', *source)
    content = load_weights(f'{WEIGHTS_SCHEME}{path}')
    runner = SimpleNamespace(model=torch.nn.ModuleDict(dict(backbone=vit(*target))))
    StrictCheckpointHook().after_load_checkpoint(runner, content)
    runner.model.load_state_dict(content['state_dict'])
    assert_places(runner.model['backbone'].pos_embed, source, target)


def test_a_sharded_run_refuses_other_sides(tmp_path):
    path = save(vit(8, 16), tmp_path / 'x.pth', 8, 16)
    strategy = FSDPStrategy()
    strategy.model = torch.nn.ModuleDict(dict(backbone=vit(16, 8)))
    with pytest.raises(CheckpointError, match=r'expected a grid of \(16, 8\) patches, found \(8'):
        strategy.load_checkpoint(str(path))
    strategy.model = torch.nn.ModuleDict(dict(backbone=vit(8, 16)))
    strategy.load_checkpoint(str(path))


def test_testing(tmp_path):
    path = save(vit(8, 16), tmp_path / 'x.pth', 8, 16)
    model = torch.nn.ModuleDict(dict(backbone=vit(16, 8, DenseVisionTransformer)))
    load_tool('tools/test.py').load_weights(model, str(path))
    assert_places(model['backbone'].pos_embed, (8, 16), (16, 8))


@pytest.mark.parametrize(
    ('content', 'grid'),
    [
        (dict(meta=dict(cfg='model = dict(backbone=dict(img_size=64, patch_size=8))')), (8, 8)),
        (dict(meta=dict(cfg='model = dict(backbone=dict(img_size=[64, 32]))')), (4, 2)),
        (dict(meta=dict(cfg='model = dict(backbone=dict())')), None),
        (dict(meta=dict(cfg='import os')), None),
        (dict(meta=dict(grid=[0, 3])), None),
        (dict(meta=dict(grid='ab')), None),
        (dict(meta=3), None),
        ({}, None),
    ],
)
def test_what_a_file_tells(content, grid):
    assert stored_grid(content) == grid


def timm(rows, cols, **settings):
    model = TimmViT(
        img_size=(rows * 16, cols * 16), patch_size=16, embed_dim=48, depth=2, num_heads=3,
        mlp_ratio=2, num_classes=0, **settings,
    )  # fmt: skip
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize(
    'settings',
    [{}, dict(no_embed_class=True), dict(class_token=False, global_pool='avg', fc_norm=False)],
    ids=['cls', 'no position of cls', 'no cls'],
)
def test_conversion_keeps_the_sides(settings, tmp_path, capsys):
    encoder = timm(8, 16, **settings)
    torch.save(encoder.state_dict(), tmp_path / 'timm.pth')
    tool, out = load_tool('tools/model_tools/convert_official.py'), tmp_path / 'out.pth'
    arguments = [str(tmp_path / 'timm.pth'), str(out)]
    assert tool.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'timm.pth: pos_embed: expected a square grid' in line and '--grid' in line
    assert tool.main([*arguments, '--grid', '8', '8']) == 2
    assert 'expected a grid of 8 x 8' in capsys.readouterr().err
    assert tool.main([*arguments, '--grid', '8', '16']) == 0
    assert stored_grid(torch.load(out)) == (8, 16)

    cls = dict() if settings.get('class_token', True) else dict(with_cls_token=False)
    models = {}
    for rows, cols in ((8, 16), (16, 8)):
        models[rows] = VisionTransformer(
            arch=ARCH, img_size=(rows * 16, cols * 16), out_type='raw', **cls
        )
        models[rows].eval()
        report = load_pretrained(models[rows], out)
        assert len(report.resized) == (rows == 16)
    image = torch.randn(2, 3, 128, 256)
    with torch.no_grad():
        found, expected = models[8](image)[0], encoder.forward_features(image)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_papers_sinusoid_on_an_oblong_grid():
    weights = {f'encoder.{k}': v for k, v in timm(8, 16).state_dict().items() if k != 'pos_embed'}
    converted = convert(weights, 'official', img_size=None, grid=(8, 16))
    assert converted.state_dict['backbone.pos_embed'].shape == (1, 129, 48)
    assert any('128 patches (128 x 256 px)' in note for note in converted.notes)
