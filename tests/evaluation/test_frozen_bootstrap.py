"""Scores from sums, and the paired bootstrap beside a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, r2_score

from mssdf.evaluation.confusion import segmentation_scores
from mssdf.evaluation.frozen.bootstrap import difference_interval, score_interval
from mssdf.evaluation.frozen.scores import SCORES, confusion_sums, error_sums


def heights(count=12, pixels=40, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(count, pixels)) * 5
    known = rng.random((count, pixels)) < 0.8
    return truth, truth + rng.normal(size=truth.shape) * 3, known


def test_sums_of_heights_give_r2_and_rmse():
    truth, predicted, known = heights()
    sums = error_sums(truth, predicted, known).sum(axis=0)
    assert SCORES['R2'](sums) == pytest.approx(r2_score(truth[known], predicted[known]))
    error = np.sqrt(np.mean((truth[known] - predicted[known]) ** 2))
    assert SCORES['RMSE'](sums) == pytest.approx(error)


@pytest.mark.parametrize('classes', [2, 5])
def test_sums_of_masks_give_iou(classes):
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(-1, classes, (9, 50)), rng.integers(0, classes, (9, 50))
    truth[truth == classes - 1] = 0 if classes == 5 else 1  # a class that does not occur
    predicted[predicted == classes - 1] = 0 if classes == 5 else 1
    sums = confusion_sums(truth, predicted, classes)
    for row, one, other in zip(sums, truth, predicted, strict=True):
        matrix = confusion_matrix(one[one >= 0], other[one >= 0], labels=range(classes))
        np.testing.assert_array_equal(row.reshape(classes, classes), matrix)
    total = sums.sum(axis=0)
    matrix = total.reshape(classes, classes).astype(int)
    assert SCORES['mIoU'](total) == pytest.approx(segmentation_scores(matrix)['mIoU'])
    hit, union = matrix[1, 1], matrix[1].sum() + matrix[:, 1].sum() - matrix[1, 1]
    assert SCORES['IoU'](total) == pytest.approx(hit / union)


def loop(rows, score, resamples, seed):
    """The same draws, image by image and seed by seed."""
    count = rows[0].shape[1]
    images = np.random.default_rng(seed)
    images = images.multinomial(count, np.full(count, 1 / count), resamples)
    found = np.zeros((len(rows), resamples))
    for place, row in enumerate(rows):
        runs = len(row)
        seeds = np.random.default_rng(seed + 1 + place)
        seeds = seeds.multinomial(runs, np.full(runs, 1 / runs), resamples)
        for number in range(resamples):
            total = 0.0
            for run in range(runs):
                sums = np.zeros(row.shape[2])
                for image in range(count):
                    for _ in range(images[number, image]):
                        sums += row[run, image]
                total += seeds[number, run] * float(score(sums))
            found[place, number] = total / runs
    return found


@pytest.mark.parametrize('measure', ['R2', 'RMSE', 'accuracy', 'mIoU'])
def test_intervals_equal_a_plain_loop(measure):
    rng = np.random.default_rng(3)
    if measure in ('R2', 'RMSE'):
        truth, predicted, known = heights()
        noise = rng.normal(size=(4, *truth.shape))
        rows = [error_sums(truth, predicted + noise[run], known) for run in range(4)]
    elif measure == 'accuracy':
        rows = [np.stack([rng.random(12) < 0.7, np.ones(12)], axis=1) * 1.0 for _ in range(4)]
    else:
        truth = rng.integers(0, 3, (12, 30))
        rows = [confusion_sums(truth, rng.integers(0, 3, (12, 30)), 3) for _ in range(4)]
    one, other = np.stack(rows[:3]), np.stack(rows[3:])
    score = SCORES[measure]
    found = difference_interval(one, other, score, resamples=60, seed=5)
    drawn = loop([one, other], score, 60, 5)
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    value = np.mean([score(run.sum(axis=0)) for run in one]) - score(other[0].sum(axis=0))
    np.testing.assert_allclose([found.value, found.low, found.high], [value, low, high])

    alone = score_interval(one, score, resamples=60, seed=5)
    low, high = np.quantile(drawn[0], [0.025, 0.975])
    np.testing.assert_allclose([alone.low, alone.high], [low, high])


def test_pairing_is_narrower_than_two_intervals_and_covers_what_theory_says():
    rng = np.random.default_rng(0)
    base = rng.random(400) < 0.6
    better = base | (rng.random(400) < 0.15)
    rows = [np.stack([right, np.ones(400)], axis=1)[None] * 1.0 for right in (better, base)]
    found = difference_interval(*rows, SCORES['accuracy'])
    share = (better & ~base).mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)
    assert found.beyond_zero
    alone = score_interval(rows[0], SCORES['accuracy'])
    assert found.high - found.low < 0.7 * (alone.high - alone.low)


def test_seeds_widen_the_interval():
    rng = np.random.default_rng(0)
    runs = [rng.random(2000) < share for share in (0.5, 0.6, 0.7)]
    sums = np.stack([np.stack([run, np.ones(2000)], axis=1) for run in runs]) * 1.0
    together = score_interval(sums, SCORES['accuracy'])
    one = score_interval(sums[:1], SCORES['accuracy'])
    assert together.high - together.low > 2 * (one.high - one.low)
    assert together.value == pytest.approx(np.mean([run.mean() for run in runs]))


def test_rows_of_other_images_are_not_compared():
    one, other = np.ones((1, 5, 2)), np.ones((1, 6, 2))
    with pytest.raises(ValueError, match='the same images'):
        difference_interval(one, other, SCORES['accuracy'])
