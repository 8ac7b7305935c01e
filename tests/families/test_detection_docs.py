"""Code blocks of docs/guide/detection.md, run as they stand there."""

import re
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.models import VisionTransformer

pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
pytestmark = pytest.mark.detection

TEXT = (Path(__file__).resolve().parents[2] / 'docs/guide/detection.md').read_text()
BASES = dict(
    mmdet='mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    mmrotate='mmrotate::oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota.py',
)


@pytest.fixture
def encoder(tmp_path, monkeypatch) -> dict[str, torch.Tensor]:
    """Weights of a ViT-B, also in a pre-training checkpoint where the lines expect it."""
    weights = VisionTransformer('base', img_size=224, patch_size=16).state_dict()
    state_dict = {f'backbone.{name}': value for name, value in weights.items()}
    torch.save(dict(state_dict=state_dict), tmp_path / 'epoch_500.pth')
    monkeypatch.chdir(tmp_path)
    return weights


@pytest.mark.parametrize('library', BASES)
def test_our_checkpoint_in_your_config(library, encoder, tmp_path):
    pytest.importorskip(library)
    blocks = re.findall(rf'^{library}, in a config.*?```python\n(.*?)```', TEXT, re.M | re.S)
    assert len(blocks) == 1 and len(blocks[0].splitlines()) == 5
    (tmp_path / 'mine.py').write_text(f"_base_ = '{BASES[library]}'\n{blocks[0]}")
    config = Config.fromfile('mine.py')
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    loaded = model.backbone.state_dict()
    same = [name for name, value in encoder.items() if name != 'pos_embed']
    assert loaded.keys() == encoder.keys()
    assert all(torch.equal(loaded[name], encoder[name]) for name in same)
    levels = model.eval().extract_feat(torch.zeros(1, 3, 64, 96))
    shapes = [tuple(level.shape) for level in levels]
    assert shapes == [(1, 256, 64 // s, 96 // s) for s in (4, 8, 16, 32)] + [(1, 256, 1, 2)]


def test_your_classes_in_four_bands(tmp_path):
    pytest.importorskip('mmdet')
    (block,) = re.findall(r'^Name your classes.*?```python\n(.*?)```', TEXT, re.M | re.S)
    beside = Path(__file__).resolve().parents[2] / 'configs/detection'
    (tmp_path / 'mine.py').write_text(block.replace('./mssdf', f'{beside}/mssdf'))
    config = Config.fromfile(tmp_path / 'mine.py')
    for name in ('train', 'val', 'test'):
        dataset = config[f'{name}_dataloader'].dataset
        assert dataset.metainfo.classes == ('tree', 'car') and dataset.ann_file.endswith('.json')
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    assert model.roi_head.bbox_head.num_classes == 2
    assert model.backbone.patch_embed.projection.in_channels == 4


def test_named_configs_exist():
    root = Path(__file__).resolve().parents[2] / 'configs'
    named = re.findall(r'(?:rotated_)?detection/mssdf_[\w.-]+\.py', TEXT)
    assert len(named) > 8
    for name in named:
        for size in 'tb' if '-N-' in name else ' ':
            assert (root / name.replace('-N-', f'-{size}-')).exists(), name
