import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mssdf.evaluation import knn_accuracy, load_labeled_images, stratified_split
from mssdf.models import MaskedVisionTransformer

PATH = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'eval_knn.py'
spec = importlib.util.spec_from_file_location('eval_knn', PATH)
eval_knn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(eval_knn)

BACKBONE = dict(
    type='mssdf.MaskedVisionTransformer',
    arch=dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96),
    img_size=64,
)


@pytest.fixture
def encoder():
    backbone = MaskedVisionTransformer(**{k: v for k, v in BACKBONE.items() if k != 'type'})
    backbone.init_weights()
    backbone.eval()
    return backbone


@pytest.fixture
def checkpoint(tmp_path, encoder) -> Path:
    """As the runner saves it: config as text, the preprocessor's buffers, other modules."""
    state = {f'backbone.{key}': value for key, value in encoder.state_dict().items()}
    state['data_preprocessor.mean_rgb'] = torch.full((3, 1, 1), 100.0)
    state['data_preprocessor.std_rgb'] = torch.full((3, 1, 1), 60.0)
    state['pixel_head.weight'] = torch.zeros(1)
    meta = dict(cfg=Config(dict(model=dict(backbone=BACKBONE))).pretty_text)
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(meta=meta, state_dict=state), path)
    return path


def test_accuracy_of_the_checkpoint_beside_the_untrained(
    checkpoint, encoder, data_root, tmp_path, capsys
):
    images = data_root / 'eurosat_rgb'
    report = tmp_path / 'report.json'
    arguments = ['--images', str(images), '--untrained', '--device', 'cpu', '--json', str(report)]
    assert eval_knn.main([str(checkpoint), *arguments]) == 0
    measured = json.loads(report.read_text())

    data = load_labeled_images(images, 64)
    bank, query = stratified_split(data.labels)
    with torch.no_grad():
        tokens = encoder((data.images.float() - 100) / 60)[0]
    features = tokens[:, 1:].mean(dim=1).numpy()
    expected = knn_accuracy(features[bank], data.labels[bank], features[query], data.labels[query])
    trained = measured['trained']
    assert trained['accuracy'] == pytest.approx(expected, abs=1.5 / len(query))
    assert trained['low'] < trained['accuracy'] < trained['high']
    half = 1.96 * np.sqrt(expected * (1 - expected) / len(query))  # normal approximation
    assert trained['high'] - trained['low'] == pytest.approx(2 * half, rel=0.1)
    assert measured['untrained'] != trained
    said = capsys.readouterr().out
    assert f'{trained["accuracy"]:.4f}' in said and 'untrained' in said


def test_wrong_input_is_one_line(checkpoint, tmp_path, data_root, capsys):
    images = ['--images', str(data_root / 'eurosat_rgb')]
    assert eval_knn.main([str(tmp_path / 'gone.pth'), *images]) == 2
    assert eval_knn.main([str(checkpoint), '--images', str(tmp_path / 'gone')]) == 2
    content = torch.load(checkpoint)
    torch.save(dict(state_dict=content['state_dict']), checkpoint)
    assert eval_knn.main([str(checkpoint), *images]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith('eval_knn.py: ') for line in lines)
    assert 'gone.pth' in lines[0] and 'gone' in lines[1] and '--config' in lines[2]


def test_a_checkpoint_of_another_encoder(checkpoint, data_root, capsys):
    content = torch.load(checkpoint)
    del content['state_dict']['backbone.ln1.weight']
    torch.save(content, checkpoint)
    assert eval_knn.main([str(checkpoint), '--images', str(data_root / 'eurosat_rgb')]) == 2
    assert 'ln1.weight' in capsys.readouterr().err


def test_folds_ask_for_every_image_and_compare_in_pairs(checkpoint, data_root, tmp_path, capsys):
    images, report = data_root / 'eurosat_rgb', tmp_path / 'report.json'
    arguments = [str(checkpoint), '--images', str(images), '--device', 'cpu', '--folds', '3']
    assert eval_knn.main([*arguments, '--untrained', '--json', str(report)]) == 0
    measured = json.loads(report.read_text())
    difference = measured['trained']['accuracy'] - measured['untrained']['accuracy']
    assert measured['gain']['accuracy'] == pytest.approx(difference)
    assert measured['gain']['low'] <= difference <= measured['gain']['high']
    total = len(load_labeled_images(images, 64).labels)
    assert f'{total} images of 10 classes' in capsys.readouterr().out
