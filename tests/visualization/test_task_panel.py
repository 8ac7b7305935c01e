"""Pictures of tasks: what stands in them, against the arrays they are made of."""

import cv2
import numpy as np
import pytest
import torch
from matplotlib.transforms import Bbox
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mssdf.visualization import figure_to_array
from mssdf.visualization.panel import ABSENT, draw_panel
from mssdf.visualization.task_cells import (
    CONFUSED,
    HIT,
    MISSED,
    NOTHING,
    RIGHT,
    UNKNOWN,
    WRONG,
    box_cells,
    box_overlaps,
    change_cells,
    class_cells,
    color_labels,
    height_cells,
    label_cells,
    match_boxes,
    semantic_change_cells,
    to_corners,
)
from mssdf.visualization.task_rows import (
    Inputs,
    colors_of,
    input_cells,
    kind_of,
    legend_of,
    sample_row,
)

PALETTE = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
CLASSES = ['a road of some width', 'tree', 'car']


def titles(cells):
    return [cell.title for cell in cells]


def test_labels_get_their_colors_and_wrong_pixels_theirs():
    truth = np.array([[0, 1], [255, 2]])
    predicted = np.array([[0, 2], [1, 2]])
    cells = label_cells(truth, predicted, PALETTE)
    assert titles(cells) == ['truth', 'prediction', 'error']
    np.testing.assert_array_equal(cells[0].image[0, 1], [0, 1, 0])
    np.testing.assert_array_equal(cells[0].image[1, 0], UNKNOWN)
    np.testing.assert_array_equal(cells[1].image[0, 1], [0, 0, 1])
    np.testing.assert_array_equal(cells[2].image, [[RIGHT, WRONG], [UNKNOWN, RIGHT]])
    assert titles(label_cells(None, predicted, PALETTE)) == ['prediction']
    np.testing.assert_array_equal(color_labels(np.array([[-1, 3]]), PALETTE)[0], [UNKNOWN] * 2)


def test_changes_are_found_false_or_missed():
    truth = np.array([[1, 0, 1, 0, 255]])
    predicted = np.array([[1, 1, 0, 0, 1]])
    cells = change_cells(truth, predicted)
    np.testing.assert_array_equal(cells[-1].image[0], [HIT, WRONG, MISSED, NOTHING, UNKNOWN])


def test_semantic_changes_may_be_found_with_the_wrong_class():
    truths = [np.array([[1, 1, 2, 0, 0, 255]]), np.array([[2, 2, 0, 0, 0, 1]])]
    predicted = [np.array([[1, 2, 0, 1, 0, 1]]), np.array([[2, 1, 0, 2, 0, 2]])]
    cells = semantic_change_cells(truths, predicted, PALETTE)
    assert titles(cells) == ['truth 1', 'prediction 1', 'truth 2', 'prediction 2', 'error']
    np.testing.assert_array_equal(
        cells[-1].image[0], [HIT, CONFUSED, MISSED, WRONG, NOTHING, UNKNOWN]
    )
    np.testing.assert_array_equal(cells[2].image[0, 0], [0, 0, 1])


def test_heights_share_a_scale_and_the_error_is_signed():
    truth = np.array([[0.0, 10.0], [np.nan, 30.0]])
    predicted = np.array([[1.0, 10.0], [50.0, 26.0]])
    true, guess, error = height_cells(truth, predicted)
    assert true.limits == guess.limits == (0, 30) and true.unit == 'm'
    np.testing.assert_array_equal(error.image, [[1, 0], [np.nan, -4]])
    assert error.limits[0] == -error.limits[1] < 0
    nothing = np.full((2, 2), np.nan)
    assert np.isfinite(height_cells(nothing, predicted)[0].limits).all()
    assert np.isfinite(height_cells(nothing, nothing)[2].limits).all()


def test_corners_of_boxes():
    np.testing.assert_array_equal(
        to_corners(np.array([[1, 2, 4, 6]]))[0], [[1, 2], [4, 2], [4, 6], [1, 6]]
    )
    turned = to_corners(np.array([[10.0, 20.0, 8.0, 4.0, 0.4]]))[0]
    expected = cv2.boxPoints(((10, 20), (8, 4), np.degrees(0.4)))
    distances = np.abs(turned[:, None] - expected[None]).sum(axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-4)
    assert sorted(distances.argmin(axis=1)) == [0, 1, 2, 3]
    points = np.arange(8.0)[None]
    np.testing.assert_array_equal(to_corners(points)[0], points.reshape(4, 2))


def test_overlaps_and_matches():
    truth = to_corners(np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]]))
    guess = to_corners(
        np.array([[0.0, 0.0, 10.0, 8.0], [1.0, 0.0, 11.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    )
    overlaps = box_overlaps(guess, truth)
    np.testing.assert_allclose(overlaps, [[0.8, 0], [90 / 110, 0], [0, 1]], atol=1e-6)
    found, right = match_boxes(truth, np.array([0, 1]), guess, np.array([0, 0, 0]))
    # the first takes the box; the second comes too late; the third has the wrong class
    assert found.tolist() == [True, False] and right.tolist() == [True, False, False]
    # a square and the same turned by 45 degrees share a regular octagon
    square = to_corners(np.array([[0.0, 0.0, 2.0, 2.0, 0.0]]))
    diamond = to_corners(np.array([[0.0, 0.0, 2.0, 2.0, np.pi / 4]]))
    octagon = 8 * (np.sqrt(2) - 1)
    assert box_overlaps(square, diamond)[0, 0] == pytest.approx(octagon / (8 - octagon), rel=1e-4)
    empty = np.zeros((0, 4, 2))
    found, right = match_boxes(truth, np.array([0, 1]), empty, np.zeros(0, int))
    assert found.tolist() == [False, False] and right.size == 0


def test_boxes_in_the_colors_of_right_wrong_and_missed():
    truth = to_corners(np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]]))
    cells = box_cells(
        np.zeros((40, 40, 3)),
        (40, 40),
        (truth, np.array([0, 1])),
        (truth[:1] + 1, np.array([0]), np.array([0.9])),
        CLASSES,
        PALETTE,
    )
    assert titles(cells) == ['truth', 'prediction', 'error']
    assert [outline.label for outline in cells[0].outlines] == CLASSES[:2]
    assert cells[1].outlines[0].label.endswith('0.90')
    assert sorted(outline.color for outline in cells[2].outlines) == sorted([MISSED, RIGHT])


def test_classes_as_bars():
    (cell,) = class_cells(np.array([0.1, 0.7, 0.2]), 2, CLASSES)
    assert list(cell.bars.names) == ['tree', 'car', CLASSES[0]]
    assert cell.bars.colors == [WRONG, RIGHT, UNKNOWN]
    (cell,) = class_cells(np.array([0.1, 0.7, 0.2]), 0, CLASSES, shown=2)
    assert list(cell.bars.names) == ['tree', CLASSES[0]] and cell.bars.values == [0.7, 0.1]


def test_inputs_by_date_and_modality():
    bands = torch.arange(6 * 4 * 4.0).reshape(6, 4, 4) + 1
    assert titles(input_cells(bands, Inputs())) == ['input']
    two = input_cells(bands, Inputs(num_dates=2))
    assert titles(two) == ['date 1', 'date 2']
    np.testing.assert_allclose(two[0].image, input_cells(bands[:3], Inputs())[0].image)
    np.testing.assert_allclose(two[1].image, input_cells(bands[3:], Inputs())[0].image)
    modalities = dict(rgb=3, dsm=1, ms=2)
    three = input_cells(bands, Inputs(modalities=modalities))
    assert titles(three) == ['input: rgb', 'input: dsm', 'input: ms']
    np.testing.assert_array_equal(three[1].image, bands[3])
    bgr, rgb = (input_cells(bands[:3], Inputs(bgr=bgr))[0].image for bgr in (True, False))
    np.testing.assert_allclose(bgr, rgb[..., ::-1])


def test_inputs_with_holes():
    bands = torch.rand(4, 6, 6) + 1
    bands[:, 0] = 0  # nodata after normalization
    bands[:, 1, 1] = float('nan')
    photograph, heights = input_cells(bands, Inputs(modalities=dict(rgb=3, dsm=1)))
    assert np.isfinite(photograph.image).all()
    assert np.isnan(heights.image).sum() == 1 and (heights.image[0] == 0).all()
    nothing = torch.full((1, 6, 6), float('nan'))
    missing = input_cells(nothing, Inputs(modalities=dict(dsm=1)))[0]
    assert np.isnan(missing.image).all()
    flat = input_cells(torch.zeros(1, 6, 6), Inputs(modalities=dict(dsm=1)))[0]
    assert (flat.image == 0).all()
    assert np.isnan(input_cells(torch.zeros(1, 6, 6), Inputs())[0].image).all()
    assert (input_cells(torch.zeros(3, 6, 6), Inputs())[0].image == UNKNOWN).all()


def pixels(values):
    return PixelData(data=torch.as_tensor(values)[None])


def made(kind: str, size: int = 32) -> tuple[torch.Tensor, BaseDataElement]:
    """Inputs and a data sample of a task."""
    rng = np.random.default_rng(0)
    sample = BaseDataElement(metainfo=dict(img_path=f'/a/{kind}.tif', ori_shape=(size, size)))
    labels = [pixels(rng.integers(0, 3, (size, size))) for _ in range(4)]
    inputs = torch.rand(6 if 'change' in kind else 3, size, size)
    if kind in ('labels', 'change'):
        sample.set_data(dict(gt_sem_seg=labels[0], pred_sem_seg=labels[1]))
    elif kind == 'semantic change':
        names = ('gt_first', 'gt_second', 'pred_first', 'pred_second')
        sample.set_data(dict(zip(names, labels, strict=True)))
    elif kind == 'height':
        heights = rng.uniform(0, 30, (2, size, size))
        heights[1, :5] = np.nan
        sample.set_data(dict(pred_depth_map=pixels(heights[0]), gt_depth_map=pixels(heights[1])))
    elif kind == 'class':
        scores = torch.tensor([0.2, 0.5, 0.3])
        sample.set_data(dict(pred_score=scores, gt_label=torch.tensor([1])))
    else:
        boxes = torch.tensor([[5.0, 5.0, 15.0, 15.0], [2.0, 2.0, 9.0, 30.0]])
        truth = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1]))
        found = InstanceData(
            bboxes=boxes + 1, labels=torch.tensor([0, 2]), scores=torch.tensor([0.9, 0.2])
        )
        sample.set_data(dict(gt_instances=truth, pred_instances=found))
    return inputs, sample


KINDS = ['labels', 'change', 'semantic change', 'height', 'class', 'boxes']


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_overlaps_or_is_cut_off(kind):
    reading = Inputs(num_dates=2 if 'change' in kind else 1)
    meta = dict(classes=CLASSES, palette=PALETTE)
    inputs, sample = made(kind)
    assert kind_of(sample, reading.num_dates) == kind
    rows = [sample_row(inputs, sample, meta, reading) for _ in range(2)]
    legend = legend_of(kind, meta, rows)
    assert len(legend) >= (2 if kind == 'class' else 1)
    figure = draw_panel(rows, 'a config', legend, 'mIoU 12.3')
    picture = figure_to_array(figure, 80)
    assert len(np.unique(picture)) > 20
    canvas = figure.canvas.get_renderer()
    texts = [text for text in figure.texts if text.get_text()]
    shown = '\n'.join(text.get_text() for text in texts)
    assert f'{kind}.tif' in shown and 'mIoU 12.3' in shown
    assert all(name in shown for name, _ in legend)
    boxes = [text.get_window_extent(canvas) for text in texts]
    width, height = figure.canvas.get_width_height()
    for text, box in zip(texts, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, f'{text.get_text()!r} is cut off'
    axes = [each.get_window_extent(canvas) for each in figure.axes]
    for i, box in enumerate(boxes):
        for other in [*boxes[i + 1 :], *axes]:
            common = Bbox.intersection(box, other)
            touching = common is None or min(common.width, common.height) < 1
            assert touching, f'{texts[i].get_text()!r} overlaps something'


def test_truth_may_be_unknown():
    _, sample = made('labels')
    del sample.gt_sem_seg
    row = sample_row(torch.rand(3, 32, 32), sample, dict(palette=PALETTE), Inputs())
    assert titles(row.cells) == ['input', 'prediction']


def test_unsure_boxes_are_left_out():
    inputs, sample = made('boxes')
    row = sample_row(inputs, sample, dict(classes=CLASSES, palette=PALETTE), Inputs())
    truth, prediction, error = row.cells
    assert len(truth.outlines) == 2 and len(prediction.outlines) == 1
    assert sorted(outline.color for outline in error.outlines) == sorted([RIGHT, MISSED])


def test_the_legend_of_boxes_has_the_classes_in_the_picture():
    inputs, sample = made('boxes')
    meta = dict(classes=CLASSES, palette=PALETTE)
    rows = [sample_row(inputs, sample, meta, Inputs())]
    names = [name for name, _ in legend_of('boxes', meta, rows)]
    assert names[:2] == CLASSES[:2] and CLASSES[2] not in names
    assert [name for name, _ in legend_of('labels', meta, rows)][:3] == CLASSES


def test_unknown_heights_are_drawn_gray():
    inputs, sample = made('height')
    row = sample_row(inputs, sample, {}, Inputs())
    figure = draw_panel([row], 'heights')
    picture = figure_to_array(figure, 100) / 255
    truth = figure.axes[1].get_window_extent()
    height = len(picture)
    top = picture[round(height - truth.y1) + 5, round((truth.x0 + truth.x1) / 2)]
    np.testing.assert_allclose(top, ABSENT, atol=0.01)


def test_colors_without_a_palette_differ():
    assert colors_of(dict(palette=PALETTE))[1] == (0, 255, 0)
    assert len(set(colors_of(dict(classes=list('abcdefgh'))))) == 8


def test_rows_must_be_alike():
    inputs, sample = made('labels')
    full = sample_row(inputs, sample, dict(palette=PALETTE), Inputs())
    del sample.gt_sem_seg
    less = sample_row(inputs, sample, dict(palette=PALETTE), Inputs())
    with pytest.raises(ValueError, match='all of as many cells'):
        draw_panel([full, less], '')
