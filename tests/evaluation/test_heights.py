"""Height errors against scikit-learn and NumPy on all pixels at once."""

import numpy as np
import pytest
from sklearn import metrics

from mssdf.evaluation.heights import HeightErrors, height_errors


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.5, 6, (6, 20, 30)) - 1
    return truth + rng.normal(0, 2, truth.shape), truth, rng.random(truth.shape) < 0.8


def test_equals_scikit_learn_over_all_images(maps):
    total = sum((height_errors(*image) for image in zip(*maps, strict=True)), HeightErrors())
    predicted, truth, valid = maps
    predicted, truth = predicted[valid], truth[valid]
    scores = total.scores()
    assert scores['RMSE'] == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert scores['MAE'] == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    high = truth > 1
    guess = np.maximum(predicted[high], 0.01)
    relative = np.abs(predicted[high] - truth[high]) / truth[high]
    assert scores['AbsRel'] == pytest.approx(relative.mean())
    ratio = np.maximum(guess / truth[high], truth[high] / guess)
    for i in (1, 2, 3):
        assert scores[f'd{i}'] == pytest.approx((ratio < 1.25**i).mean())


def test_scale_is_linear(maps):
    errors = height_errors(*maps)
    assert errors.scores(0.01)['RMSE'] == pytest.approx(errors.scores()['RMSE'] / 100)


def test_unknown_heights_do_not_count(maps):
    predicted, truth, valid = maps
    spoiled = np.where(valid, truth, np.nan)
    assert height_errors(predicted, spoiled, valid) == height_errors(predicted, truth, valid)


def test_nothing_known_is_nan():
    nothing = height_errors(np.ones(3), np.ones(3), np.zeros(3, bool))
    assert np.isnan(nothing.scores()['RMSE'])


def test_infinite_prediction_is_an_error():
    with pytest.raises(ValueError, match='expected finite heights'):
        height_errors(np.array([np.inf]), np.ones(1), np.ones(1, bool))
