"""Segmentation, with and without heights, as a user runs it."""

import cv2
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

pytest.importorskip('mmseg')

SHRINK = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'train_dataloader.dataset.pipeline.2.scale': '(64,64)',
}


def maps(trial, folder: str):
    """Predicted and true labels of the tested images, the latter from 0, -1 ignored."""
    predicted, truth = [], []
    for path in sorted((trial.folder / 'out').glob('*.png')):
        predicted.append(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel())
        labels = cv2.imread(str(trial.data_root / folder / path.name), cv2.IMREAD_UNCHANGED)
        truth.append(labels.ravel().astype(int) - 1)
    return np.concatenate(predicted), np.concatenate(truth)


def check_scores(scores, predicted, truth, classes, prefix=''):
    known = truth >= 0
    truth, predicted = truth[known], predicted[known]
    seen = np.union1d(truth, predicted)
    kept = [label for label in range(classes) if label in seen]
    expected = dict(
        mIoU=jaccard_score(truth, predicted, labels=kept, average='macro', zero_division=0),
        mF1=f1_score(truth, predicted, labels=kept, average='macro', zero_division=0),
        OA=accuracy_score(truth, predicted),
    )
    for name, value in expected.items():
        if name == 'OA' and classes < 6:
            continue
        assert scores[f'{prefix}{name}'] == pytest.approx(100 * value, abs=0.01), name


def test_potsdam(trial):
    run = trial('segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam', 'potsdam', **SHRINK)
    assert run.train() == 0
    assert '149 loaded, 1 resized' in run.log and '0 missing, 0 unexpected' in run.log
    assert run.train('--resume', **{'train_cfg.max_iters': 3}) == 0
    assert 'resumed epoch: 0, iter: 2' in run.log
    scores = run.test()
    predicted, truth = maps(run, 'ann_dir/val')
    assert len(predicted) == 3 * 256 * 256
    check_scores(scores, predicted, truth, 6, 'full-6-classes/')
    check_scores(scores, predicted, truth, 5, 'full-5-classes/')
    picture = cv2.imread(str(run.folder / 'test/panels/test.png'))
    assert picture.shape[0] > 800 and len(np.unique(picture)) > 100


def test_heights_beside_the_image_and_missing(trial):
    name = 'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_vaihingen-dsm'
    shrink = {key: SHRINK[key] for key in ('train_cfg.max_iters', 'train_cfg.val_interval')}
    run = trial(name, 'vaihingen', **shrink)
    assert run.train() == 0
    assert 'embedding' in run.log
    scores = run.test()
    predicted, truth = maps(run, 'ann_dir/val')
    check_scores(scores, predicted, truth, 6, 'full-6-classes/')
    run.overlays = ('dsm-missing',)
    without = run.test()
    other, _ = maps(run, 'ann_dir/val')
    assert (other != predicted).any() and without.keys() == scores.keys()


@pytest.mark.parametrize('data', ['loveda', 'isaid'])
def test_other_layouts_from_scratch(trial, data):
    name = f'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_{data}'
    run = trial(
        name,
        data,
        'scratch',
        **SHRINK,
        **{
            'val_dataloader.dataset.pipeline.1.scale': '(64,64)',
            'test_dataloader.dataset.pipeline.1.scale': '(64,64)',
        },
    )
    assert run.train() == 0
    scores = run.test()
    right = known = 0
    for path in sorted((run.folder / 'out').glob('*.png')):
        (file,) = (run.data_root / 'ann_dir/val').glob(f'{path.stem}*.png')
        truth = cv2.imread(str(file), cv2.IMREAD_UNCHANGED).astype(int)
        if data == 'loveda':  # counts from 1, 0 is unknown
            truth = np.where(truth == 0, 255, truth - 1)
        predicted = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        right += int((predicted == truth)[truth != 255].sum())
        known += int((truth != 255).sum())
    assert known > 0
    assert scores['OA'] == pytest.approx(100 * right / known, abs=0.01)


def test_a_checkpoint_is_asked_for(trial, capsys):
    run = trial('segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam', 'potsdam')
    run.checkpoint = None
    assert run.train() == 2
    assert '--checkpoint FILE' in capsys.readouterr().out
