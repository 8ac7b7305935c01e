"""Binary and semantic change detection as a user runs them."""

import cv2
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

pytest.importorskip('mmseg')

SHRINK = {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2}


def read(path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(int)


@pytest.mark.parametrize('data', ['levir-cd', 'whu-cd'])
def test_binary(trial, data):
    run = trial(
        f'change_detection/mssdf_vit-t-p16-siamese-upernet_1xb16-adamw-40k_{data}',
        data,
        **SHRINK,
        **{'train_dataloader.dataset.pipeline.2.crop_size': '(64,64)'},
    )
    assert run.train() == 0
    assert run.train('--resume', **{'train_cfg.max_iters': 3}) == 0
    assert 'resumed epoch: 0, iter: 2' in run.log
    check_binary(run, lambda name: read(run.data_root / 'test/label' / name) // 255)


def check_binary(run, truth_of) -> None:
    """Test; the scores must be scikit-learn's of the maps that were written."""
    scores = run.test()
    files = sorted((run.folder / 'out').glob('*.png'))
    predicted = np.concatenate([read(path).ravel() for path in files])
    truth = np.concatenate([truth_of(path.name).ravel() for path in files])
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    assert len(files) == 3 and truth.any()
    assert scores['F1'] == pytest.approx(100 * f1_score(truth, predicted), abs=0.01)
    assert scores['IoU'] == pytest.approx(100 * jaccard_score(truth, predicted), abs=0.01)
    assert scores['OA'] == pytest.approx(100 * (truth == predicted).mean(), abs=0.01)


def test_semantic(trial):
    run = trial(
        'change_detection/mssdf_vit-t-p16-semantic-change_1xb8-adamw-40k_second', 'second', **SHRINK
    )
    assert run.train() == 0
    scores = run.test()
    matrix = np.zeros((7, 7))
    for date in ('first', 'second'):
        for path in sorted((run.folder / 'out').glob(f'*_{date}.png')):
            name = path.name.replace(f'_{date}', '')
            folder = 'label1_index' if date == 'first' else 'label2_index'
            truth, predicted = read(run.data_root / 'test' / folder / name), read(path)
            known = truth != 255
            matrix += confusion_matrix(truth[known], predicted[known], labels=range(7))
    # SeK and Score by their formulas (arXiv 2010.05687)
    total = matrix.sum()
    unchanged = matrix[0, 0] / (matrix[0].sum() + matrix[:, 0].sum() - matrix[0, 0])
    changed = matrix[1:, 1:].sum() / (total - matrix[0, 0])
    without = matrix.copy()
    without[0, 0] = 0
    observed = np.trace(without) / without.sum()
    chance = (without.sum(0) * without.sum(1)).sum() / without.sum() ** 2
    separated = np.exp(changed - 1) * (observed - chance) / (1 - chance)
    mean = (unchanged + changed) / 2
    assert scores['mIoU'] == pytest.approx(100 * mean, abs=0.01)
    assert scores['SeK'] == pytest.approx(100 * separated, abs=0.01)
    assert scores['Score'] == pytest.approx(100 * (0.3 * mean + 0.7 * separated), abs=0.01)
    # what changed has two different land covers, what did not has none
    for path in sorted((run.folder / 'out').glob('*_first.png')):
        first, second = read(path), read(str(path).replace('_first', '_second'))
        change = read(str(path).replace('_first', ''))
        assert ((first > 0) == (change == 1)).all() and ((second > 0) == (change == 1)).all()
        assert (first[change == 1] != second[change == 1]).all()


def test_second_as_binary(trial):
    run = trial(
        'change_detection/mssdf_vit-t-p16-siamese-upernet_1xb8-adamw-40k_second-binary',
        'second',
        **SHRINK,
    )
    assert run.train() == 0

    def changed(name: str) -> np.ndarray:
        first, second = (
            read(run.data_root / 'test' / folder / name)
            for folder in ('label1_index', 'label2_index')
        )
        unknown = (first == 255) | (second == 255)
        return np.where(unknown, 255, (first > 0) | (second > 0))

    check_binary(run, changed)
