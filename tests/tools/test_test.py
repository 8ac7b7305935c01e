"""tools/test.py on a tiny classifier and a tiny segmentor of real images."""

import csv
import importlib.util
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def load(name: str):
    spec = importlib.util.spec_from_file_location(f'tools_{name}', TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load('test')

CONFIG = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mssdf'], allow_failed_imports=False)
arch = dict(embed_dims=24, num_layers=1, num_heads=3, feedforward_channels=48)
data_preprocessor = dict(mean=[0, 0, 0], std=[1, 1, 1], num_classes=1000)  # not the model's
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[120, 120, 120], std=[60, 60, 60], to_rgb=True),
    backbone=dict(
        type='VisionTransformer', arch=arch, img_size=64, patch_size=16,
        init_cfg=dict(type='mssdf.StrictPretrained', checkpoint='not-given')),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=24))
load = dict(type='LoadImageFromFile')
dataset = dict(
    type='CustomDataset', data_root='scenes', data_prefix='', with_label=True,
    pipeline=[load, dict(type='PackInputs')])
test_dataloader = dict(
    batch_size=3, num_workers=0, dataset=dataset,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = [
    dict(type='Accuracy', topk=(1,)), dict(type='SingleLabelMetric', average=None),
    dict(type='ConfusionMatrix')]
test_cfg = dict()
tta_model = dict(type='AverageClsScoreTTA')
tta_pipeline = [load, dict(type='TestTimeAug', transforms=[
    [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
    [dict(type='PackInputs')]])]
default_hooks = dict(
    data_check=dict(type='mssdf.DataCheckHook'), task_panel=dict(type='mssdf.TaskPanelHook', num=2))
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
"""


def build(path: str):
    """The config's model, of weights that answer differently to different images."""
    config = Config.fromfile(path)
    config.model.backbone.pop('init_cfg')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config.model)
    model.init_weights()
    torch.nn.init.normal_(model.head.fc.weight, std=3)
    return model.eval()


@pytest.fixture
def scenes(tmp_path, data_root, monkeypatch):
    """Three images of three classes each, a config, and weights as a checkpoint of a training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MSSDF_DATA', raising=False)
    monkeypatch.delenv('MSSDF_CHECKPOINT', raising=False)
    torch.set_num_threads(1)
    for name in ('Forest', 'River', 'SeaLake'):
        (tmp_path / 'scenes' / name).mkdir(parents=True)
        for path in sorted((data_root / 'eurosat_rgb' / name).glob('*.jpg'))[:3]:
            shutil.copy(path, tmp_path / 'scenes' / name)
    (tmp_path / 'tiny.py').write_text(CONFIG)
    model = build('tiny.py')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=3)), 'weights.pth')
    return model


def images() -> list[Path]:
    return sorted(Path('scenes').glob('*/*.jpg'))


@torch.no_grad()
def answers(model, flipped: bool = False) -> np.ndarray:
    """The scores of all images, by the model alone."""
    pictures = np.stack([cv2.imread(str(path))[..., ::-1] for path in images()]).astype(np.float32)
    inputs = torch.from_numpy((pictures - 120) / 60).permute(0, 3, 1, 2)
    logits = model.head(model.extract_feat(inputs.flip(3) if flipped else inputs))
    return logits.softmax(dim=1).numpy()


def run(*arguments: str) -> int:
    return tool.main(['tiny.py', 'weights.pth', '--work-dir', 'run', *arguments])


def saved() -> tuple[list[str], np.ndarray]:
    with open('out/predictions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    names = ('Forest', 'River', 'SeaLake')
    scores = np.array([[float(row[name]) for name in names] for row in rows])
    return [Path(row['file']).name for row in rows], scores


def test_scores_predictions_and_pictures(scenes, capsys):
    assert run('--out', 'out', '--pictures', '3') == 0
    expected = answers(scenes)
    names, scores = saved()
    assert names == [path.name for path in images()]
    np.testing.assert_allclose(scores, expected, atol=2e-6)

    truth = np.repeat([0, 1, 2], 3)
    accuracy = 100 * (expected.argmax(axis=1) == truth).mean()
    content = json.loads(Path('run/scores.json').read_text())
    assert content['config'] == 'tiny.py' and content['tta'] is False
    assert content['scores']['accuracy/top1'] == pytest.approx(accuracy, abs=1e-3)
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (truth, expected.argmax(axis=1)), 1)
    assert content['scores']['confusion_matrix/result'] == matrix.tolist()
    said = capsys.readouterr().out
    assert 'accuracy/top1' in said and f'{accuracy:.4g}' in said and 'scores.json' in said
    assert cv2.imread('run/panels/test.png').shape[0] > 3 * 250


def test_flips_are_averaged(scenes):
    assert run('--out', 'out', '--tta') == 0
    _, scores = saved()
    mean = (answers(scenes) + answers(scenes, flipped=True)) / 2
    assert np.abs(mean - answers(scenes)).max() > 1e-3
    np.testing.assert_allclose(scores, mean, atol=2e-6)
    assert json.loads(Path('run/scores.json').read_text())['tta'] is True


def test_no_pictures_and_no_predictions_unless_asked_for(scenes):
    assert run('--pictures', '0') == 0
    assert not Path('run/panels').exists() and not Path('out').exists()


def said_by(capsys, *arguments: str) -> str:
    assert tool.main(['tiny.py', *arguments]) == 2
    said = [each for each in capsys.readouterr().out.split('test.py: ') if each.strip()]
    assert not Path('work_dirs/tiny/scores.json').exists()
    return said[-1]


def test_weights_that_do_not_fit(scenes, capsys):
    state = scenes.state_dict()
    del state['head.fc.bias']
    state['head.fc.weight'] = torch.zeros(5, 24)
    state['neck.weight'] = torch.zeros(2)
    torch.save(dict(state_dict=state), 'other.pth')
    said = said_by(capsys, 'other.pth')
    assert said.startswith('other.pth: expected every weight of the model and no other, found ')
    assert 'head.fc.bias (expected (3,))' in said
    assert 'head.fc.weight (expected (3, 24), found (5, 24))' in said
    assert 'neck.weight (found (2,))' in said
    assert said_by(capsys, 'gone.pth').startswith(
        'gone.pth: expected a checkpoint file, found none'
    )
    Path('torn.pth').write_bytes(b'PK')
    assert 'torn.pth' in said_by(capsys, 'torn.pth')


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path('touched'),)


def test_nothing_in_the_weights_is_run(scenes, capsys):
    torch.save(dict(state_dict=scenes.state_dict(), extra=Malicious()), 'bad.pth')
    assert 'expected tensors, found code' in said_by(capsys, 'bad.pth')
    assert not Path('touched').exists()


def test_weights_with_nan(scenes, capsys):
    state = scenes.state_dict()
    state['head.fc.bias'][1] = float('nan')
    torch.save(dict(state_dict=state), 'nan.pth')
    assert "found NaN in ['head.fc.bias']" in said_by(capsys, 'nan.pth')


def test_configs_that_cannot_be_tested(scenes, capsys):
    path = Path('tiny.py')
    path.write_text(path.read_text().replace('tta_pipeline', 'other'))
    assert 'expected tta_pipeline in the config' in said_by(capsys, 'weights.pth', '--tta')
    path.write_text(path.read_text().replace('test_evaluator', 'evaluator'))
    assert 'test_evaluator' in said_by(capsys, 'weights.pth')


def test_data_that_do_not_fit(scenes, capsys):
    options = ('--cfg-options', 'test_dataloader.dataset.data_root=gone')
    assert said_by(capsys, 'weights.pth', *options).startswith('test_dataloader: ')
    image = images()[-1]
    image.write_bytes(b'none')
    assert f'test_dataloader: {image}' in said_by(capsys, 'weights.pth').replace('./', '')


TRAINING = """
train_dataloader = dict(
    batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(dataset, data_root='gone'))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.1))
val_dataloader = dict(test_dataloader, dataset=dict(dataset, data_root='gone'))
val_cfg = dict()
val_evaluator = test_evaluator
param_scheduler = dict(type='LinearLR', start_factor=0.1)
"""


def with_training(**hooks):
    """Give the config all hooks of the shipped ones, and training data that are not there."""
    shipped = Config.fromfile(TOOLS.parent / 'configs/_base_/downstream.py').default_hooks
    config = Config.fromstring(CONFIG + TRAINING, '.py')
    config.default_hooks = dict(shipped, **hooks)
    config.dump('tiny.py')


def test_training_and_validation_data_are_not_touched(scenes):
    with_training()
    assert run('--out', 'out', '--pictures', '3') == 0
    assert Path('run/panels/test.png').is_file()
    assert json.loads(Path('run/scores.json').read_text())['scores'].keys() >= {'accuracy/top1'}


def test_the_hook_of_pictures_asks_for_no_training_data(scenes):
    """In a test by MMEngine's runner itself, which keeps the config's other loops."""
    with_training()
    config = Config.fromfile('tiny.py')
    config.model.backbone.pop('init_cfg')
    config.work_dir = 'alone'
    runner = Runner.from_cfg(config)
    assert runner.test().keys() >= {'accuracy/top1'}
    assert Path('alone/panels/test.png').is_file()


@pytest.mark.parametrize('hook', ['TaskPanelHook', 'PredictionSaverHook'])
def test_scores_are_written_before_what_may_fail(scenes, monkeypatch, hook):
    def fail(*args, **kwargs):
        raise OSError('no space left')

    monkeypatch.setattr(f'mssdf.engine.hooks.{hook}.after_test_epoch', fail)
    with pytest.raises(OSError, match='no space left'):
        run('--out', 'out', '--pictures', '3')
    truth = np.repeat([0, 1, 2], 3)
    accuracy = 100 * (answers(scenes).argmax(axis=1) == truth).mean()
    scores = json.loads(Path('run/scores.json').read_text())['scores']
    assert scores['accuracy/top1'] == pytest.approx(accuracy, abs=1e-3)


def test_scores_that_json_does_not_have():
    assert tool.as_json(torch.tensor([1.5, float('nan')])) == [1.5, None]
    assert tool.as_json([[float('inf')], (1, 2.5)]) == [[None], [1, 2.5]]
    assert tool.as_json(np.float64(0.25)) == 0.25
