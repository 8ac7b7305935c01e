"""Rotated boxes, as a user runs it."""

import json
import math
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, DefaultScope

from mssdf.preparation.examples.detection import grounds

from .detectors import NARROW
from .test_detection import losses

pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
pytest.importorskip('mmrotate')
pytestmark = pytest.mark.detection

PROJECT = Path(__file__).resolve().parents[2]
DIOR_R = 'rotated_detection/mssdf_vit-t-p16-oriented-rcnn_4xb4-adamw-12e_dior-r'
DOTA = 'rotated_detection/mssdf_vit-t-p16-oriented-rcnn_4xb4-adamw-12e_dota'
SIZE = '(128,128)'
TESTED = NARROW | {
    'val_dataloader.dataset.pipeline.1.scale': SIZE,
    'test_dataloader.dataset.pipeline.1.scale': SIZE,
    'tta_pipeline.1.transforms.0.0.scale': SIZE,
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.rcnn.max_per_img': 100,
}
SHRINK = TESTED | {
    'train_dataloader.dataset.pipeline.3.scale': SIZE,
    'train_dataloader.dataset.indices': 4,
}
IN_PARTS = TESTED | {
    f'train_dataloader.dataset.datasets.{part}.{key}': value
    for part in (0, 1)
    for key, value in {'pipeline.3.scale': SIZE, 'indices': 2}.items()
}


@pytest.mark.slow
def test_dior_r(trial):
    run = trial(DIOR_R, 'dior', **IN_PARTS)
    assert run.train() == 0
    assert '149 loaded, 1 resized' in run.log and '0 missing, 0 unexpected' in run.log
    # of 21 classes no one is preferred, and neither object nor background
    assert len(losses(run.log)) == 2
    assert losses(run.log)[0] == pytest.approx(math.log(21) + math.log(2), abs=0.7)
    assert run.train('--resume', **{'train_cfg.max_epochs': 2}) == 0
    assert 'resumed epoch: 1, iter: 2' in run.log and len(losses(run.log)) == 4
    scores = run.test()
    found = json.loads((run.folder / 'out/predictions.json').read_text())
    again = evaluate(DIOR_R, run.data_root, saved(found), indices=3)
    for name in ('mAP', 'AP50', 'AP75'):
        assert scores[name] == pytest.approx(again[name], abs=1e-4), name
    assert [len(box) for box in found['images'][0]['boxes']] == [5] * 100
    pictures = sorted((run.folder / 'test/panels').glob('*.png'))
    assert pictures and len(np.unique(cv2.imread(str(pictures[0])))) > 100
    assert run.test('--tta').keys() == scores.keys()
    assert json.loads((run.folder / 'out/predictions.json').read_text()) != found


@pytest.mark.slow
def test_dota_in_tiles_from_scratch(trial):
    run = trial(DOTA, 'dota', 'scratch', **SHRINK)
    assert run.train() == 0
    assert '3 tiles put together' in run.log
    scores = run.test()
    found = json.loads((run.folder / 'out/predictions.json').read_text())
    again = evaluate(DOTA, run.data_root, saved(found), indices=3)
    assert scores['mAP'] == pytest.approx(again['mAP'], abs=1e-4)
    assert scores['AP50'] == pytest.approx(again['AP50'], abs=1e-4)


@pytest.mark.slow
def test_dota_writes_what_its_server_takes(trial, monkeypatch):
    run = trial(f'{DOTA}-trainval', 'dota', **IN_PARTS)
    monkeypatch.chdir(run.folder)
    assert run.train() == 0
    run.test()
    with zipfile.ZipFile(run.folder / 'dota_submission/dota_submission.zip') as archive:
        names = archive.namelist()
        lines = archive.read('Task1_ship.txt').decode().splitlines()
    assert len(names) == 15 and lines
    image, score, *corners = lines[0].split()
    assert image in ('P0003', 'P0004') and 0 <= float(score) <= 1 and len(corners) == 8


def saved(content: dict):
    """Saved predictions, for :func:`evaluate`."""
    images = {Path(image['file']).name: image for image in content['images']}

    def predict(sample):
        image = images[Path(sample.img_path).name]
        boxes = torch.tensor(image['boxes'], dtype=torch.float32).reshape(-1, 5)
        return boxes, torch.tensor(image['scores']), torch.tensor(image['labels'])

    return predict


def build(config: str, root: Path, indices: int | None = None):
    loaded = Config.fromfile(PROJECT / f'configs/{config}.py')
    loaded.test_dataloader.dataset.data_root = str(root)
    loaded.test_dataloader.dataset.indices = indices
    dataset = DATASETS.build(loaded.test_dataloader.dataset)
    evaluator = Evaluator(loaded.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    return dataset, evaluator


def evaluate(config: str, root: Path, predict, indices: int | None = None) -> dict[str, float]:
    """Through the dataset and the metric of a config, with predictions made of the truth."""
    with DefaultScope.overwrite_default_scope('mmrotate'):
        dataset, evaluator = build(config, root, indices)
        for index in range(len(dataset)):
            sample = dataset[index]['data_samples']
            found = type(sample.gt_instances)()
            boxes, scores, labels = predict(sample)
            found.bboxes = boxes
            found.scores, found.labels = scores, labels
            sample.pred_instances = found
            evaluator.process([sample])
        return evaluator.evaluate(len(dataset))


def test_dota_is_scored_on_whole_scenes(examples, data_root, caplog):
    """All found but storage tanks: those of the scenes before tiling, each once."""
    root = examples('dota')
    tanks = 9

    def predict(sample):
        truth = sample.gt_instances
        kept = truth.labels != tanks
        count = int(kept.sum())
        scores = torch.linspace(0.6, 0.9, count) if count else torch.zeros(0)
        return truth.bboxes.tensor[kept], scores, truth.labels[kept]

    scores = evaluate(DOTA, root, predict)
    # none of one class in three; of the others, all but those that neighbors overlap
    assert 0.6 < scores['AP50'] < 2 / 3 + 1e-6
    with DefaultScope.overwrite_default_scope('mmrotate'):
        dataset, evaluator = build(DOTA, root)
        metric = evaluator.metrics[0]
        for index in range(len(dataset)):
            sample = dataset[index]['data_samples']
            sample.pred_instances = type(sample.gt_instances)(
                bboxes=torch.zeros(0, 5), scores=torch.zeros(0), labels=torch.zeros(0)
            )
            metric.process(None, [sample.to_dict()])
    from mssdf.evaluation.merged_tiles import merge_tiles

    merged = merge_tiles(metric.results)
    for number, (split, scene) in enumerate(grounds(data_root), 1):
        if split != 'test':
            continue
        centers = np.array([box.corners.mean(axis=0) for box in scene.boxes])
        found = merged[f'P{number:04d}'].truth[:, :2]
        distance = np.linalg.norm(centers[:, None] - found[None], axis=2)
        # each true box is that of a building, and none comes twice ...
        assert len(np.unique(distance.argmin(axis=0))) == len(found)
        assert distance.min(axis=0).max() < 1
        # ... and only buildings too large for any tile are missing
        missing = [scene.boxes[index] for index in np.flatnonzero(distance.min(axis=1) > 1)]
        assert len(missing) < 0.1 * len(centers)
        assert all(max(np.ptp(box.corners, axis=0)) > 64 for box in missing)


def test_dior_r_scores_shaken_truth_as_a_loop_does(examples):
    """Against OpenCV's intersection of rectangles and precision at eleven recalls by hand."""
    rng = np.random.default_rng(0)
    kept = []

    def predict(sample):
        truth = sample.gt_instances.bboxes.tensor.numpy()
        labels = sample.gt_instances.labels.numpy()
        boxes = truth + rng.normal(0, 1, truth.shape) * [4, 4, 4, 4, 0.05]
        boxes[:, 2:4] = boxes[:, 2:4].clip(2)
        scores = rng.random(len(boxes))
        kept.append((truth, labels, boxes, scores))
        return torch.tensor(boxes).float(), torch.tensor(scores), torch.tensor(labels)

    scores = evaluate(DIOR_R, examples('dior'), predict)
    values = []
    for label in np.unique(np.concatenate([labels for _, labels, _, _ in kept])):
        rows, total = [], 0
        for truth, labels, boxes, each in kept:
            ours = np.flatnonzero(labels == label)
            total += len(ours)
            taken = set()
            for index in sorted(ours, key=lambda i: -each[i]):
                overlaps = [overlap(boxes[index], truth[i]) for i in ours]
                best = int(np.argmax(overlaps))
                rows.append((-each[index], overlaps[best] >= 0.5 and best not in taken))
                if overlaps[best] >= 0.5:
                    taken.add(best)
        hits = np.cumsum([hit for _, hit in sorted(rows)])
        precision, recall = hits / np.arange(1, len(hits) + 1), hits / total
        values.append(
            np.mean([precision[recall >= r - 1e-9].max(initial=0) for r in np.arange(11) / 10])
        )
    assert 0.1 < np.mean(values) < 0.9
    assert scores['AP50'] == pytest.approx(np.mean(values), abs=1e-3)


def overlap(first, second) -> float:
    rectangles = [
        ((float(x), float(y)), (float(w), float(h)), math.degrees(a))
        for x, y, w, h, a in (first, second)
    ]
    points = cv2.rotatedRectangleIntersection(*rectangles)[1]
    shared = 0.0 if points is None else cv2.contourArea(cv2.convexHull(points))
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)
