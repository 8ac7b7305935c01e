"""Scores from sums, and the paired bootstrap beside a plain loop."""

import numpy as np
import pytest
from scipy import stats
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
    """Mean scores over seeds under the same draws, image by image."""
    count = rows[0].shape[1]
    images = np.random.default_rng(seed)
    images = images.multinomial(count, np.full(count, 1 / count), resamples)
    found = np.zeros((len(rows), resamples))
    for place, row in enumerate(rows):
        for number in range(resamples):
            scores = []
            for run in row:
                sums = np.zeros(row.shape[2])
                for image in range(count):
                    for _ in range(images[number, image]):
                        sums += run[image]
                scores.append(float(score(sums)))
            found[place, number] = np.mean(scores)
    return found


def ends(value, drawn, count, seed_errors):
    """Both sources by the textbook: added variances, Satterthwaite's degrees of freedom.

    Args:
        value: the figure.
        drawn: resampled figures.
        count: number of images.
        seed_errors: standard error and degrees of freedom of each row's seeds.
    """
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    found = []
    for sign, reach in ((-1, middle - low), (1, high - middle)):
        error = reach / stats.norm.ppf(0.975) * np.sqrt(count / (count - 1))
        parts = [(error, count - 1), *seed_errors]
        total = sum(error**2 for error, _ in parts)
        freedom = total**2 / sum(error**4 / free for error, free in parts)
        found.append(value + sign * stats.t.ppf(0.975, freedom) * np.sqrt(total))
    return found


@pytest.mark.parametrize('measure', ['R2', 'RMSE', 'accuracy', 'mIoU'])
def test_intervals_equal_a_plain_loop(measure):
    rng = np.random.default_rng(3)
    if measure in ('R2', 'RMSE'):
        truth, predicted, known = heights()
        noise = rng.normal(size=(8, *truth.shape))
        rows = [error_sums(truth, predicted + noise[run], known) for run in range(8)]
    elif measure == 'accuracy':
        rows = [np.stack([rng.random(12) < 0.7, np.ones(12)], axis=1) * 1.0 for _ in range(8)]
    else:
        truth = rng.integers(0, 3, (12, 30))
        rows = [confusion_sums(truth, rng.integers(0, 3, (12, 30)), 3) for _ in range(8)]
    one, same, other = np.stack(rows[:3]), np.stack(rows[3:6]), np.stack(rows[6:])
    score = SCORES[measure]
    scores = [np.array([score(run.sum(axis=0)) for run in row]) for row in (one, same, other)]
    drawn = loop([one, same, other], score, 60, 5)

    alone = score_interval(one, score, resamples=60, seed=5)
    expected = ends(scores[0].mean(), drawn[0], 12, [(stats.sem(scores[0]), 2)])
    np.testing.assert_allclose([alone.low, alone.high], expected)

    paired = difference_interval(one, same, score, resamples=60, seed=5)
    gains = scores[0] - scores[1]
    expected = ends(gains.mean(), drawn[0] - drawn[1], 12, [(stats.sem(gains), 2)])
    np.testing.assert_allclose([paired.low, paired.high], expected)

    welch = difference_interval(one, other, score, resamples=60, seed=5)
    value = scores[0].mean() - scores[2].mean()
    spreads = [(stats.sem(scores[0]), 2), (stats.sem(scores[2]), 1)]
    expected = ends(value, drawn[0] - drawn[2], 12, spreads)
    np.testing.assert_allclose([welch.low, welch.high], expected)
    assert welch.value == pytest.approx(value)


SPREADS = [(0.02, 0.0), (0.02, 0.45), (0.05, 0.45)]


def trial(rng, spread, noise, seeds, images=60):
    """Rows around 0.5: noise of each seed, of images (half of it common to rows), and the rest."""
    common, rows = rng.normal(0, noise, images), []
    for count in seeds:
        hard = (common + rng.normal(0, noise, images)) / np.sqrt(2)
        right = 0.5 + rng.normal(0, spread, (count, 1)) + hard
        right = right + rng.normal(0, 0.1, (count, images))
        rows.append(np.stack([right, np.ones_like(right)], axis=2))
    return rows


@pytest.mark.parametrize('spread, noise', SPREADS)
@pytest.mark.parametrize('seeds', [(3, 3), (3, 2)])
def test_intervals_over_few_seeds_cover_the_truth(spread, noise, seeds):
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(400):
        one, other = trial(rng, spread, noise, seeds)
        score = score_interval(one, SCORES['accuracy'], resamples=200)
        gain = difference_interval(one, other, SCORES['accuracy'], resamples=200)
        covered += [score.low <= 0.5 <= score.high, gain.low <= 0 <= gain.high]
    assert (covered / 400 >= 0.92).all(), covered / 400


def test_windows_of_a_file_are_drawn_together():
    """Eight files of ten windows each, alike within a file: the files are what counts."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 10)
    covered = np.zeros(2)
    for _ in range(400):
        right = 0.5 + rng.normal(0, 0.1, 8)[groups] + rng.normal(0, 0.05, 80)
        sums = np.stack([right, np.ones(80)], axis=1)[None]
        for place, given in enumerate((groups, None)):
            found = score_interval(sums, SCORES['accuracy'], resamples=200, groups=given)
            covered[place] += found.low <= 0.5 <= found.high
    assert covered[0] / 400 >= 0.92 and covered[1] / 400 < 0.7

    whole = sums.reshape(1, 8, 10, 2).sum(axis=2)  # one window for each file tells the same
    found, other = (
        score_interval(given, SCORES['accuracy'], groups=of)
        for given, of in ((sums, groups), (whole, None))
    )
    np.testing.assert_allclose([found.low, found.high], [other.low, other.high])


def test_a_single_group_has_no_interval():
    sums = np.ones((3, 5, 2))
    found = score_interval(sums, SCORES['accuracy'], groups=np.zeros(5, int))
    assert found.value == 1 and np.isnan([found.low, found.high]).all() and not found.beyond_zero


@pytest.mark.filterwarnings('error')
def test_a_score_that_is_not_defined_has_no_interval_and_no_warning():
    sums = np.tile([4.0, 0, 0, 1], (1, 5, 1))  # heights that are all the same
    found = score_interval(sums, SCORES['R2'])
    assert np.isnan([found.value, found.low, found.high]).all() and not found.beyond_zero


def test_rows_that_are_not_paired_spread_each_by_itself():
    shares = np.array([[0.2, 0.5, 0.7], [0.3, 0.4, 0.8]])
    rows = [np.stack([np.tile(row, (9, 1)).T, np.ones((3, 9))], axis=2) for row in shares]
    found = difference_interval(*rows, SCORES['accuracy'], paired=False)
    welch = stats.ttest_ind(*shares, equal_var=False).confidence_interval()
    np.testing.assert_allclose([found.low, found.high], welch)
    paired = difference_interval(*rows, SCORES['accuracy'], paired=True)
    assert paired == difference_interval(*rows, SCORES['accuracy'])
    interval = stats.ttest_rel(*shares).confidence_interval()
    np.testing.assert_allclose([paired.low, paired.high], interval)
    with pytest.raises(ValueError, match='equally many seeds to pair, found 3 and 2'):
        difference_interval(rows[0], rows[1][:2], SCORES['accuracy'], paired=True)


def test_windows_that_tell_nothing_do_not_count():
    truth, predicted, known = heights()
    sums = error_sums(truth, predicted, known)[None]
    empty = np.concatenate([sums, np.zeros((1, 5, 4))], axis=1)
    one, other = (score_interval(given, SCORES['R2']) for given in (sums, empty))
    assert one == other


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
