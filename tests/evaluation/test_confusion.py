"""Scores against scikit-learn and against their formulas on cases done by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics

from mssdf.evaluation.confusion import (
    change_scores,
    confusion_matrix,
    segmentation_scores,
    semantic_change_scores,
)


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (40, 50))
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 5, truth.shape))
    return truth, predicted


def test_matrix_equals_scikit_learn(labels):
    truth, predicted = labels
    expected = metrics.confusion_matrix(truth.ravel(), predicted.ravel(), labels=range(5))
    assert (confusion_matrix(truth, predicted, 5) == expected).all()


def test_unknown_truth_is_left_out(labels):
    truth, predicted = labels
    known = truth != 4
    matrix = confusion_matrix(np.where(known, truth, 255), predicted, 5)
    assert matrix.sum() == known.sum() and not matrix[4].any()


def test_prediction_out_of_range_is_an_error(labels):
    truth, predicted = labels
    with pytest.raises(ValueError, match='expected labels from 0 to 3, found 0 to 4'):
        confusion_matrix(truth, predicted, 4)


def test_segmentation_equals_scikit_learn(labels):
    truth, predicted = (each.ravel() for each in labels)
    scores = segmentation_scores(confusion_matrix(truth, predicted, 5))
    assert scores['mIoU'] == pytest.approx(metrics.jaccard_score(truth, predicted, average='macro'))
    assert scores['mF1'] == pytest.approx(metrics.f1_score(truth, predicted, average='macro'))
    assert scores['OA'] == pytest.approx(metrics.accuracy_score(truth, predicted))


def test_segmentation_leaves_classes_out_of_the_means(labels):
    truth, predicted = (each.ravel() for each in labels)
    scores = segmentation_scores(confusion_matrix(truth, predicted, 5), ignored=(4,))
    f1 = metrics.f1_score(truth, predicted, average=None)
    assert scores['mF1'] == pytest.approx(f1[:4].mean())


def test_absent_class_does_not_count():
    matrix = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert segmentation_scores(matrix)['mIoU'] == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_change_equals_scikit_learn(labels):
    truth, predicted = ((each > 2).astype(int).ravel() for each in labels)
    scores = change_scores(confusion_matrix(truth, predicted, 2))
    assert scores['F1'] == pytest.approx(metrics.f1_score(truth, predicted))
    assert scores['precision'] == pytest.approx(metrics.precision_score(truth, predicted))
    assert scores['recall'] == pytest.approx(metrics.recall_score(truth, predicted))
    assert scores['IoU'] == pytest.approx(metrics.jaccard_score(truth, predicted))
    assert scores['mIoU'] == pytest.approx(metrics.jaccard_score(truth, predicted, average='macro'))
    assert scores['OA'] == pytest.approx(metrics.accuracy_score(truth, predicted))


def test_semantic_change_by_hand():
    """Ten pixels: 4 unchanged found, 1 false alarm, 1 missed, 3 right and 1 wrong class."""
    matrix = np.array([[4, 1, 0], [1, 2, 1], [0, 0, 1]])
    scores = semantic_change_scores(matrix)
    iou_unchanged, iou_changed = 4 / 6, 4 / 6
    assert scores['mIoU'] == pytest.approx((iou_unchanged + iou_changed) / 2)
    # without the unchanged hits: 6 pixels, rows 1, 4, 1, columns 1, 3, 2
    observed, expected = 3 / 6, (1 * 1 + 4 * 3 + 1 * 2) / 36
    sek = math.exp(iou_changed - 1) * (observed - expected) / (1 - expected)
    assert scores['SeK'] == pytest.approx(sek)
    assert scores['Score'] == pytest.approx(0.3 * scores['mIoU'] + 0.7 * sek)
    precision, recall = 3 / 5, 3 / 5
    assert scores['F_scd'] == pytest.approx(2 * precision * recall / (precision + recall))


def test_kappa_equals_scikit_learn():
    """Without unchanged hits, SeK is Cohen's kappa times exp(IoU - 1)."""
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 4, (2, 500))
    both_unchanged = (truth == 0) & (predicted == 0)
    truth, predicted = truth[~both_unchanged], predicted[~both_unchanged]
    scores = semantic_change_scores(confusion_matrix(truth, predicted, 4))
    iou = ((truth > 0) & (predicted > 0)).sum() / len(truth)
    kappa = metrics.cohen_kappa_score(truth, predicted)
    assert scores['SeK'] == pytest.approx(kappa * math.exp(iou - 1))


def test_perfect_prediction():
    matrix = np.diag([5, 3, 2])
    scores = semantic_change_scores(matrix)
    assert [scores[name] for name in ('mIoU', 'SeK', 'F_scd', 'Score')] == pytest.approx([1] * 4)


def test_nothing_to_score_is_nan():
    assert math.isnan(change_scores(np.array([[5, 0], [0, 0]]))['F1'])
