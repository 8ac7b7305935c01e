"""Horizontal boxes, as a user runs it."""

import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, DefaultScope

from mssdf.datasets.tasks.classes import NWPU_VHR10

from .detectors import NARROW

pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
pytest.importorskip('mmdet')
pytestmark = pytest.mark.detection

PROJECT = Path(__file__).resolve().parents[2]
DIOR = 'detection/mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_dior'
VHR10 = 'detection/mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_nwpu-vhr10'
RGBN = 'detection/mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_rgbn'
SIZE = '(128,128)'
TESTED = {
    'val_dataloader.dataset.pipeline.1.scale': SIZE,
    'test_dataloader.dataset.pipeline.1.scale': SIZE,
    'tta_pipeline.1.transforms.0.0.scale': SIZE,
    'model.test_cfg.rcnn.score_thr': 0.0,  # the untrained find something, too
}
DIOR_SHRINK = (
    NARROW
    | TESTED
    | {
        f'train_dataloader.dataset.datasets.{part}.{key}': value
        for part in (0, 1)
        for key, value in {'pipeline.2.scale': SIZE, 'indices': 2}.items()
    }
)
SHRINK = NARROW | TESTED | {'train_dataloader.dataset.pipeline.2.scale': SIZE}
SHRINK['train_dataloader.dataset.indices'] = 4


def losses(log: str) -> list[float]:
    return [float(value) for value in re.findall(r'  loss: ([\d.naif]+)', log)]


def score(truth_file: Path, detections: list[dict], images: list[int]) -> dict[str, float]:
    """By pycocotools, from files alone, as mmdet counts: up to 1000 boxes of an image."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(truth_file))
    evaluation = COCOeval(truth, truth.loadRes(detections), 'bbox')
    evaluation.params.imgIds = images
    evaluation.params.maxDets = [100, 300, 1000]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval['precision'][:, :, :, 0, -1]  # (thresholds, recalls, classes)
    precision = np.where(precision < 0, np.nan, precision)
    return dict(mAP=np.nanmean(precision), AP50=np.nanmean(precision[0]))


def saved(folder: Path, ids: dict[str, int]) -> list[dict]:
    """Saved predictions as COCO's results."""
    content = json.loads((folder / 'predictions.json').read_text())
    return [
        dict(
            image_id=ids[Path(image['file']).name],
            category_id=label + 1,
            score=score,
            bbox=[left, top, right - left, bottom - top],
        )
        for image in content['images']
        for (left, top, right, bottom), label, score in zip(
            image['boxes'], image['labels'], image['scores'], strict=True
        )
    ]


def check_scores(run, *extra: str) -> list[dict]:
    """Test; the scores must be pycocotools' of what was saved, which is returned."""
    scores = run.test(*extra)
    truth = run.data_root / 'annotations/test.json'
    ids = {image['file_name']: image['id'] for image in json.loads(truth.read_text())['images']}
    detections = saved(run.folder / 'out', ids)
    expected = score(truth, detections, sorted({each['image_id'] for each in detections}))
    assert scores['coco/bbox_mAP'] == pytest.approx(expected['mAP'], abs=6e-4)
    assert scores['coco/bbox_mAP_50'] == pytest.approx(expected['AP50'], abs=6e-4)
    return detections


@pytest.mark.slow
def test_dior(trial):
    run = trial(DIOR, 'dior', **DIOR_SHRINK)
    assert run.train() == 0
    assert '149 loaded, 1 resized' in run.log and '0 missing, 0 unexpected' in run.log
    first = losses(run.log)
    assert len(first) == 2
    # of 21 classes no one is preferred, and neither object nor background
    assert first[0] == pytest.approx(math.log(21) + math.log(2), abs=0.7)
    assert run.train('--resume', **{'train_cfg.max_epochs': 2}) == 0
    assert 'resumed epoch: 1, iter: 2' in run.log and len(losses(run.log)) == 4
    detections = check_scores(run)
    assert {each['image_id'] for each in detections} == {1, 2, 3}
    pictures = sorted((run.folder / 'test/panels').glob('*.png'))
    assert pictures and len(np.unique(cv2.imread(str(pictures[0])))) > 100
    assert check_scores(run, '--tta') != detections


def test_vhr10_from_scratch(trial):
    run = trial(VHR10, 'nwpu-vhr10', 'scratch', **SHRINK)
    assert run.train() == 0
    assert ' loaded, ' not in run.log
    # of 11 classes no one is preferred, and neither object nor background
    assert losses(run.log)[0] == pytest.approx(math.log(11) + math.log(2), abs=0.7)
    assert len(check_scores(run)) > 10


def test_frozen_keeps_the_backbone(trial, pretrained):
    import torch

    run = trial(VHR10, 'nwpu-vhr10', 'frozen', **SHRINK)
    assert run.train() == 0
    trained = torch.load((run.folder / 'train/last_checkpoint').read_text(), weights_only=False)
    given = torch.load(pretrained, weights_only=False)['state_dict']
    kept = [name for name in given if name.startswith('backbone.layers.')]
    assert kept
    assert all(torch.equal(trained['state_dict'][name], given[name]) for name in kept)


@pytest.mark.parametrize('config, example', [(DIOR, 'dior'), (VHR10, 'nwpu-vhr10')])
def test_scores_of_shaken_truth_are_those_of_pycocotools(examples, config, example):
    """From the dataset through the metric of the config, with predictions that are half right."""
    root, rng = examples(example), np.random.default_rng(0)
    loaded = Config.fromfile(PROJECT / f'configs/{config}.py')
    loaded.test_dataloader.dataset.data_root = str(root)
    truth = root / 'annotations/test.json'
    with DefaultScope.overwrite_default_scope('mmdet'):
        import torch

        dataset = DATASETS.build(loaded.test_dataloader.dataset)
        evaluator = Evaluator(loaded.test_evaluator)
        evaluator.dataset_meta = dataset.metainfo
        detections = []
        for index in range(len(dataset)):
            sample = dataset[index]['data_samples']
            boxes = sample.gt_instances.bboxes.tensor.numpy()
            boxes = np.concatenate([boxes, boxes]) + rng.normal(0, 4, (2 * len(boxes), 4))
            boxes[:, 2:] = boxes[:, 2:].clip(boxes[:, :2] + 1)
            labels = np.tile(sample.gt_instances.labels.numpy(), 2)
            labels = np.where(rng.random(len(labels)) < 0.2, 14, labels) % len(NWPU_VHR10)
            if example == 'dior':
                labels = np.where(labels < 7, labels + 10, labels)
            scores = rng.random(len(boxes))
            found = type(sample.gt_instances)()
            found.bboxes = torch.tensor(boxes)
            found.scores, found.labels = torch.tensor(scores), torch.tensor(labels)
            sample.pred_instances = found
            evaluator.process([sample])
            detections += [
                dict(
                    image_id=sample.img_id,
                    category_id=int(label) + 1,
                    score=float(each),
                    bbox=[*map(float, box[:2]), *map(float, box[2:] - box[:2])],
                )
                for box, label, each in zip(boxes, labels, scores, strict=True)
            ]
        scores = evaluator.evaluate(len(dataset))
    images = [image['id'] for image in json.loads(truth.read_text())['images']]
    expected = score(truth, detections, images)
    assert 0.05 < expected['AP50'] < 0.95
    assert scores['coco/bbox_mAP'] == pytest.approx(expected['mAP'], abs=6e-4)
    assert scores['coco/bbox_mAP_50'] == pytest.approx(expected['AP50'], abs=6e-4)


@pytest.fixture
def trees(data_root, tmp_path):
    """Crops of four bands; boxes around what is most vegetated, which stands for crowns."""
    root = tmp_path / 'rgbn'
    (root / 'annotations').mkdir(parents=True)
    (root / 'images').mkdir()
    content = dict(images=[], annotations=[], categories=[dict(id=1, name='object')])
    for number, path in enumerate(sorted((data_root / 'urban_trees').glob('*.tif'))[:4], 1):
        (root / 'images' / path.name).write_bytes(path.read_bytes())
        with rasterio.open(path) as raster:
            red, near = raster.read([1, 4]).astype(float)
        green = ((near - red) / (near + red + 1) > 0.25).astype(np.uint8)
        found = cv2.connectedComponentsWithStats(cv2.erode(green, np.ones((3, 3))))[2][1:]
        content['images'].append(dict(id=number, file_name=path.name, width=256, height=256))
        for left, top, width, height, area in found[found[:, 4] > 100].tolist():
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=number,
                    category_id=1,
                    bbox=[left, top, width, height],
                    area=area,
                    iscrowd=0,
                )
            )
    assert len(content['annotations']) > 20
    for split in ('train', 'val', 'test'):
        (root / f'annotations/{split}.json').write_text(json.dumps(content))
    return root


@pytest.mark.slow
def test_four_bands(trial, trees):
    run = trial(RGBN, 'dior', **SHRINK)
    run.data_root = trees
    assert run.train() == 0
    assert "made from the checkpoint's patch_embed.projection.weight for 4 band(s)" in run.log
    assert losses(run.log)[0] == pytest.approx(2 * math.log(2), abs=0.7)
    assert len(check_scores(run, '--tta')) > 10


def test_names_that_do_not_fit_stop_before_training(trial, tmp_path, capsys):
    run = trial(DIOR, 'nwpu-vhr10', **DIOR_SHRINK)
    assert run.train() == 2
    assert 'train_dataloader' in capsys.readouterr().out
