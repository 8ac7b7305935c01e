"""Files for DOTA's server, against OpenCV and a scene known before it was cut."""

import cv2
import numpy as np
import pytest

from mssdf.evaluation.submission import merge_scenes, write_dota

CLASSES = ['ship', 'plane']


@pytest.fixture
def ops():
    pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)


def image(name: str, boxes=(), labels=(), scores=()) -> dict:
    return dict(file=f'/d/{name}.png', boxes=boxes, labels=labels, scores=scores)


def corners_by_opencv(box) -> np.ndarray:
    x, y, width, height, angle = map(float, box)
    return cv2.boxPoints(((x, y), (width, height), np.degrees(angle)))


def read(path) -> list[tuple[str, float, np.ndarray]]:
    rows = [line.split() for line in path.read_text().splitlines()]
    assert all(len(row) == 10 for row in rows)
    return [(row[0], float(row[1]), np.array(row[2:], float).reshape(4, 2)) for row in rows]


def same_corners(found: np.ndarray, expected: np.ndarray) -> bool:
    distances = np.abs(found[:, None] - expected[None]).max(axis=2)
    return bool((distances.min(axis=0) < 0.02).all() and (distances.min(axis=1) < 0.02).all())


def test_tiles_become_scenes(ops, tmp_path):
    """Twenty-four boxes of two scenes, each found in every tile that holds its center."""
    rng = np.random.default_rng(0)
    truth, tiles = [], []
    for scene in ('P0003', 'P__9'):  # names of scenes may have underscores
        centers = np.stack(np.meshgrid(np.arange(60, 1600, 300), [200, 900]), -1).reshape(-1, 2)
        boxes = np.column_stack(
            [centers, rng.uniform(20, 60, (len(centers), 2)), rng.uniform(-1.5, 1.5, len(centers))]
        )
        labels = rng.integers(0, 2, len(boxes))
        truth += [(scene, label, box) for label, box in zip(labels, boxes, strict=True)]
        for left in (0, 824):
            inside = (centers[:, 0] >= left) & (centers[:, 0] < left + 1024)
            moved = boxes[inside] - [left, 0, 0, 0, 0]
            moved[:, 2:4] += left / 824  # a little off in the second tile, and weaker
            scores = np.full(len(moved), 0.9 if left == 0 else 0.6)
            name = f'{scene}__1024__{left}___0'
            tiles.append(image(name, moved.tolist(), labels[inside].tolist(), scores.tolist()))
    assert sum(len(tile['boxes']) for tile in tiles) > len(truth) == 24
    write_dota(tmp_path, tiles, CLASSES)

    found = {name: read(tmp_path / f'Task1_{name}.txt') for name in CLASSES}
    assert {row[0] for rows in found.values() for row in rows} == {'P0003', 'P__9'}
    for index, name in enumerate(CLASSES):
        expected = [(scene, box) for scene, label, box in truth if label == index]
        assert len(found[name]) == len(expected)
        for scene, box in expected:
            first = box[0] < 1024  # seen in the first tile, by which the other one is dropped
            box = box if first else box + [0, 0, 1, 1, 0]
            corners = corners_by_opencv(box)
            scores = [
                score
                for found_in, score, each in found[name]
                if found_in == scene and same_corners(each, corners)
            ]
            assert scores == [0.9 if first else 0.6]


def test_boxes_of_other_classes_and_scenes_stay(ops, tmp_path):
    box = [50.0, 40.0, 20.0, 10.0, 0.3]
    tiles = [
        image('P1__512__0___0', [box, box], [0, 1], [0.5, 0.4]),
        image('P2__512__0___0', [box], [0], [0.3]),
        image('P1__512__312___0'),
    ]
    write_dota(tmp_path, tiles, CLASSES)
    ships = [row[:2] for row in read(tmp_path / 'Task1_ship.txt')]
    assert ships == [('P1', 0.5), ('P2', 0.3)]
    assert [row[0] for row in read(tmp_path / 'Task1_plane.txt')] == ['P1']


def test_images_that_are_no_tiles_are_not_thinned(tmp_path):
    box = [50.0, 40.0, 20.0, 10.0, 0.0]
    write_dota(tmp_path, [image('00017', [box, box], [0, 0], [0.5, 0.4])], CLASSES)
    rows = read(tmp_path / 'Task1_ship.txt')
    assert [row[:2] for row in rows] == [('00017', 0.5), ('00017', 0.4)]
    assert same_corners(rows[0][2], np.array([[40, 35], [60, 35], [60, 45], [40, 45]]))


def test_corners_are_moved_too(ops):
    corners = [10.0, 10.0, 30.0, 10.0, 30.0, 20.0, 10.0, 20.0]
    weaker = [x + 0.5 for x in corners]
    tiles = [
        image('P1__512__100___200', [corners], [1], [0.9]),
        image('P1__512__100___0', [[x + 200 * (i % 2) for i, x in enumerate(weaker)]], [1], [0.2]),
    ]
    boxes, scores, labels = merge_scenes(tiles)['P1']
    assert boxes.tolist() == [[110, 210, 130, 210, 130, 220, 110, 220]]
    assert scores.tolist() == pytest.approx([0.9]) and labels.tolist() == [1]
