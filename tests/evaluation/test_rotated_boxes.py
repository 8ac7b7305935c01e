"""Scores of rotated boxes, against hand-made cases, OpenCV and mmrotate."""

import math

import cv2
import numpy as np
import pytest

from mssdf.evaluation.merged_tiles import merge_tiles, parse_tile
from mssdf.evaluation.rotated_boxes import (
    RotatedBoxes,
    average_precision,
    evaluate_rotated,
    match,
    rotated_iou,
)

THRESHOLDS = [0.5, 0.75]


@pytest.fixture
def ops():
    pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)


def iou_by_opencv(first, second):
    def area(one, two):
        points = cv2.rotatedRectangleIntersection(*(as_rectangle(box) for box in (one, two)))[1]
        return 0.0 if points is None else cv2.contourArea(cv2.convexHull(points))

    shared = np.array([[area(one, two) for two in second] for one in first]).reshape(
        len(first), len(second)
    )
    sizes = (boxes[:, 2] * boxes[:, 3] for boxes in (first, second))
    return shared / (next(sizes)[:, None] + next(sizes)[None] - shared)


def as_rectangle(box):
    x, y, width, height, angle = map(float, box)
    return (x, y), (width, height), math.degrees(angle)


def random_image(rng, truths=8, found=14, classes=3):
    truth = np.column_stack(
        [
            rng.uniform(20, 180, (truths, 2)),
            rng.uniform(8, 50, (truths, 2)),
            rng.uniform(-1.5, 1.5, truths),
        ]
    )
    shaken = truth[rng.integers(0, truths, found)] + rng.normal(0, 1, (found, 5)) * [
        2,
        2,
        3,
        3,
        0.1,
    ]
    shaken[:, 2:4] = shaken[:, 2:4].clip(4)
    labels = rng.integers(0, classes, truths)
    return RotatedBoxes(
        shaken.astype(np.float32),
        rng.permutation(found).astype(np.float32) / found,
        rng.integers(0, classes, found),
        truth.astype(np.float32),
        labels,
        rng.random(truths) < 0.2,
    )


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [random_image(rng) for _ in range(12)]


def test_iou_of_a_square_and_itself_turned_is_that_of_an_octagon(ops):
    square = np.array([[0, 0, 1, 1, 0.0]], np.float32)
    turned = np.array([[0, 0, 1, 1, math.pi / 4]], np.float32)
    octagon = 2 * (math.sqrt(2) - 1)
    assert rotated_iou(square, turned)[0, 0] == pytest.approx(octagon / (2 - octagon), abs=1e-5)


def test_iou_is_that_of_opencv(ops, images):
    for image in images:
        expected = iou_by_opencv(image.found, image.truth)
        np.testing.assert_allclose(rotated_iou(image.found, image.truth), expected, atol=1e-3)


def test_average_precision_by_hand():
    # of two true boxes one is found first, the other after a false alarm
    true, false = np.array([True, False, True]), np.array([False, True, False])
    # recall 1/2, 1/2, 1 at precision 1, 1/2, 2/3: recalls 0 to 0.5 are six of the eleven
    assert average_precision(true, false, 2) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert average_precision(true, false, 2, points=None) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # a third one never found: recall 1/3, 1/3, 2/3: recalls 0 to 0.3, then 0.4 to 0.6, then none
    assert average_precision(true, false, 3) == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    nothing = np.zeros(0, bool)
    assert average_precision(nothing, nothing, 5) == 0


def test_the_best_of_two_on_one_box_is_true_and_an_ignored_box_does_not_count():
    iou = np.array([[0.9, 0.0], [0.6, 0.1], [0.0, 0.8], [0.4, 0.3]])
    scores = np.array([0.5, 0.9, 0.8, 0.7])
    true, false = match(iou, scores, np.array([False, True]), 0.5)
    assert true.tolist() == [False, True, False, False]
    assert false.tolist() == [True, False, False, True]
    true, false = match(np.zeros((2, 0)), scores[:2], np.zeros(0, bool), 0.5)
    assert not true.any() and false.all()


def average_precision_by_loops(images, label, threshold):
    """All detections from the best score on, precision at each recall by a loop."""
    rows = sorted(
        (
            (-image.scores[i], number, i)
            for number, image in enumerate(images)
            for i in np.flatnonzero(image.found_labels == label)
        ),
    )
    taken, outcomes, total = set(), [], 0
    for image in images:
        total += int(((image.truth_labels == label) & ~image.ignored).sum())
    for _, number, i in rows:
        image = images[number]
        of_class = np.flatnonzero(image.truth_labels == label)
        overlaps = iou_by_opencv(image.found[i][None], image.truth[of_class])[0]
        if not len(overlaps) or overlaps.max() < threshold:
            outcomes.append(0)
            continue
        target = of_class[overlaps.argmax()]
        if image.ignored[target]:
            continue
        outcomes.append(0 if (number, target) in taken else 1)
        taken.add((number, target))
    curve, hits = [], 0
    for count, outcome in enumerate(outcomes, 1):
        hits += outcome
        curve.append((hits / total, hits / count))
    levels = [
        max((precision for recall, precision in curve if recall >= level / 10 - 1e-9), default=0)
        for level in range(11)
    ]
    return sum(levels) / 11


def test_scores_are_those_of_a_loop_with_opencv(images):
    table = evaluate_rotated(images, 4, THRESHOLDS, iou=iou_by_opencv)
    assert np.isnan(table[3]).all()  # no such box
    for label in range(3):
        for column, threshold in enumerate(THRESHOLDS):
            expected = average_precision_by_loops(images, label, threshold)
            assert table[label, column] == pytest.approx(expected, abs=1e-9)
    assert 0.05 < table[:3, 0].mean() < 0.95


def test_scores_are_those_of_mmrotate(ops, images):
    pytest.importorskip('mmrotate')
    from mmdet.evaluation.functional import average_precision as mmdet_average_precision
    from mmrotate.evaluation.functional.mean_ap import tpfp_default

    table = evaluate_rotated(images, 3, THRESHOLDS)
    areas = evaluate_rotated(images, 3, THRESHOLDS, points=None)
    for label in range(3):
        for column, threshold in enumerate(THRESHOLDS):
            hits, misses, scores, total = [], [], [], 0
            for image in images:
                found, truth = image.found_labels == label, image.truth_labels == label
                detections = np.column_stack([image.found[found], image.scores[found]])
                counted, ignored = truth & ~image.ignored, truth & image.ignored
                hit, miss = tpfp_default(
                    detections, image.truth[counted], image.truth[ignored], threshold
                )
                hits.append(hit[0])
                misses.append(miss[0])
                scores.append(image.scores[found])
                total += int(counted.sum())
            order = np.argsort(-np.concatenate(scores), kind='stable')
            hits, misses = (np.cumsum(np.concatenate(each)[order]) for each in (hits, misses))
            recall, precision = hits / total, hits / (hits + misses).clip(1e-9)
            for result, mode in ((table, '11points'), (areas, 'area')):
                expected = mmdet_average_precision(recall, precision, mode)
                assert result[label, column] == pytest.approx(expected, abs=1e-6)


def test_tiles_make_the_image_they_were_cut_from(ops):
    rng = np.random.default_rng(1)
    centers = np.stack(np.meshgrid(np.arange(20, 300, 40), np.arange(20, 300, 40)), -1).reshape(
        -1, 2
    )
    truth = np.column_stack(
        [centers, rng.uniform(10, 24, (len(centers), 2)), rng.uniform(-1.5, 1.5, len(centers))]
    ).astype(np.float32)
    labels = rng.integers(0, 3, len(truth))
    tiles, copies = [], 0
    for left in (0, 120):
        for top in (0, 120):
            inside = ((centers >= [left, top]) & (centers < [left + 180, top + 180])).all(axis=1)
            boxes = truth[inside] - np.array([left, top, 0, 0, 0], np.float32)
            count = int(inside.sum())
            copies += count
            # found a little off, in each tile differently
            found = boxes + rng.normal(0, 0.2, boxes.shape).astype(np.float32) * [1, 1, 1, 1, 0]
            scores = rng.uniform(0.5, 1, count).astype(np.float32)
            tiles.append(
                (
                    f'P0001__180__{left}___{top}',
                    RotatedBoxes(
                        found, scores, labels[inside], boxes, labels[inside], np.zeros(count, bool)
                    ),
                )
            )
    assert copies > len(truth)
    (name, merged), *others = merge_tiles(tiles).items()
    assert name == 'P0001' and not others
    assert len(merged.truth) == len(truth) == len(merged.found)
    order = np.lexsort(merged.truth[:, :2].T)
    expected = np.lexsort(truth[:, :2].T)
    np.testing.assert_allclose(merged.truth[order], truth[expected], atol=1e-3)
    assert (merged.truth_labels[order] == labels[expected]).all()
    np.testing.assert_allclose(evaluate_rotated([merged], 3, [0.5]), 1)


def test_a_box_is_ignored_only_where_every_tile_does(ops):
    box = np.array([[100, 100, 20, 10, 0.3]], np.float32)
    none = np.zeros((0, 5), np.float32), np.zeros(0, np.float32), np.zeros(0, int)
    label = np.array([0])

    def tile(left, ignored):
        moved = box - np.array([left, 0, 0, 0, 0], np.float32)
        return f'a__128__{left}___0', RotatedBoxes(*none, moved, label, np.array([ignored]))

    assert merge_tiles([tile(0, True), tile(64, False)])['a'].ignored.tolist() == [False]
    assert merge_tiles([tile(0, True), tile(64, True)])['a'].ignored.tolist() == [True]


def test_names_of_tiles():
    assert parse_tile('P0706__1024__824___1648') == ('P0706', 824, 1648)
    assert parse_tile('a__b__512__0___12') == ('a__b', 0, 12)
    with pytest.raises(ValueError, match=r'P0706.png: expected a name IMAGE__SIZE__LEFT___TOP'):
        parse_tile('P0706.png')
