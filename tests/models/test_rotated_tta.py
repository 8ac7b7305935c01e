"""Rotated boxes under flips, against images that are flipped pixel by pixel."""

import math

import cv2
import numpy as np
import pytest
import torch

from mssdf.models.detectors.rotated_tta import RotatedTTA, flip_boxes

SIZE = 60, 80
FLIPS = dict(horizontal=np.fliplr, vertical=np.flipud, diagonal=lambda image: image[::-1, ::-1])


def drawn(box: torch.Tensor) -> np.ndarray:
    x, y, width, height, angle = box.tolist()
    corners = cv2.boxPoints(((x - 0.5, y - 0.5), (width, height), math.degrees(angle)))
    image = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], 1, shift=4)
    return image


@pytest.mark.parametrize('direction', FLIPS)
def test_boxes_of_a_flipped_image_turn_back(direction):
    box = torch.tensor([[30.0, 22.0, 28.0, 9.0, 0.5]])
    seen = flip_boxes(box, SIZE, direction)
    both = np.stack([drawn(seen[0]), FLIPS[direction](drawn(box[0]))])
    assert both.min(axis=0).sum() / both.max(axis=0).sum() > 0.9
    torch.testing.assert_close(flip_boxes(seen, SIZE, direction), box)


def test_an_image_as_it_is_and_other_directions():
    box = torch.tensor([[30.0, 22.0, 28.0, 9.0, 0.5]])
    assert flip_boxes(box, SIZE, None) is not None
    torch.testing.assert_close(flip_boxes(box, SIZE, None), box)
    with pytest.raises(ValueError, match="found 'up'"):
        flip_boxes(box, SIZE, 'up')


def test_answers_are_merged():
    pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
    structures = pytest.importorskip('mmdet.structures')
    from mmengine.structures import InstanceData

    truth = torch.tensor([[20.0, 20.0, 20.0, 8.0, 0.4], [55.0, 35.0, 12.0, 10.0, -0.3]])

    def answer(direction, kept, score):
        sample = structures.DetDataSample(
            metainfo=dict(ori_shape=SIZE, flip=bool(direction), flip_direction=direction)
        )
        boxes = flip_boxes(truth[kept], SIZE, direction) + torch.tensor([0.2, 0.1, 0, 0, 0])
        sample.pred_instances = InstanceData(
            bboxes=boxes, scores=torch.full((len(kept),), score), labels=torch.tensor(kept)
        )
        return sample

    module = torch.nn.Identity()
    module.test_step = None  # is asked for, and not called here
    model = RotatedTTA(module=module)
    samples = [answer(None, [0], 0.6), answer('horizontal', [0, 1], 0.9)]
    (merged,) = model.merge_preds([samples])
    found = merged.pred_instances
    assert found.labels.tolist() == [0, 1] and found.scores.tolist() == pytest.approx([0.9, 0.9])
    torch.testing.assert_close(found.bboxes, truth, atol=0.3, rtol=0)
    (nothing,) = model.merge_preds([[answer(None, [], 0.5), answer('vertical', [], 0.5)]])
    assert len(nothing.pred_instances) == 0
