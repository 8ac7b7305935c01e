"""Scene classification: fine-tuning, linear probe, and all bands of Sentinel-2."""

import csv

import numpy as np
import pytest
import torch
from mmengine import Config
from sklearn.metrics import accuracy_score, confusion_matrix

from mssdf.datasets.tasks import classes

SHRINK = {
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
    'train_dataloader.batch_size': 4,
    'train_dataloader.dataset.indices': 8,
    'val_dataloader.dataset.indices': 24,
    'test_dataloader.dataset.indices': 60,
}


def table(run):
    with open(run.folder / 'out/predictions.csv') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    'name, data, overlays',
    [
        ('mssdf_vit-t-p16_4xb64-adamw-100e_eurosat', 'eurosat', ()),
        ('mssdf_vit-t-p16-linear_4xb64-sgd-90e_aid', 'aid', ('labels-20',)),
        ('mssdf_vit-t-p16_4xb64-adamw-100e_eurosat-ms', 'eurosat-ms', ()),
    ],
)
def test_scores_are_those_of_the_predictions(trial, name, data, overlays):
    run = trial(f'classification/{name}', data, *overlays, **SHRINK)
    if data == 'eurosat-ms':
        run.options['test_dataloader.dataset.indices'] = 12
    assert run.train() == 0
    assert '0 missing, 0 unexpected' in run.log
    assert run.train('--resume', **{'train_cfg.max_epochs': 2}) == 0
    assert 'resumed epoch: 1' in run.log
    scores = run.test()
    rows = table(run)
    truth, predicted = ([row[key] for row in rows] for key in ('truth', 'predicted'))
    assert all(row['file'].split('/')[-2] == row['truth'] for row in rows)
    expected = 100 * accuracy_score(truth, predicted)
    assert scores['accuracy/top1'] == pytest.approx(expected, abs=0.01)
    names = list(rows[0])[3:]
    matrix = confusion_matrix(truth, predicted, labels=names)
    assert (np.array(scores['confusion_matrix/result']) == matrix).all()
    if data == 'eurosat-ms':
        assert 'embedding.projections.ms' in run.log


def test_linear_probe_leaves_the_encoder_alone(trial):
    run = trial('classification/mssdf_vit-t-p16-linear_4xb64-sgd-90e_ucm', 'ucm', **SHRINK)
    assert run.train() == 0
    start = torch.load(run.checkpoint, weights_only=True)['state_dict']
    weights = (run.folder / 'train/last_checkpoint').read_text().strip()
    end = torch.load(weights, weights_only=False)['state_dict']
    kept = [key for key in end if key.startswith('backbone.') and 'pos_embed' not in key]
    assert len(kept) > 100 and all(torch.equal(start[key], end[key]) for key in kept)


@pytest.mark.parametrize(
    'data, names',
    [
        ('aid', classes.AID),
        ('nwpu-resisc45', classes.NWPU_RESISC45),
        ('ucm', classes.UC_MERCED),
        ('eurosat', classes.EUROSAT),
    ],
)
def test_configs_and_tools_mean_the_same_classes(data, names, project_root):
    path = project_root / f'configs/classification/mssdf_vit-b-p16_4xb64-adamw-100e_{data}.py'
    config = Config.fromfile(path)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        assert tuple(loader.dataset.metainfo.classes) == tuple(names) == tuple(sorted(names))
    assert config.model.head.num_classes == config.model.data_preprocessor.num_classes == len(names)
