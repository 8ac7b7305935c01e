"""Probes of patch tokens beside plain loops, and that nothing of a query leaks into training."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from mssdf.evaluation.frozen.conv_probe import probe_pixels
from mssdf.evaluation.frozen.data import EvaluationData
from mssdf.evaluation.frozen.dense_probes import probe_patches
from mssdf.evaluation.frozen.dense_targets import patch_classes, patch_heights
from mssdf.evaluation.frozen.folds import group_folds
from mssdf.evaluation.frozen.measurement_settings import MeasurementSettings
from mssdf.evaluation.frozen.scores import SCORES

COUNT, SIZE, PATCH, DIMS = 16, 32, 8, 6
GRID = SIZE // PATCH


def make(task, seed=0):
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(COUNT, GRID, GRID))).float() * 4
    pixels = coarse.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)
    target = pixels + torch.from_numpy(rng.normal(size=pixels.shape)).float()
    if task == 'masks':
        target = (pixels > -1).long() + (pixels > 2).long()
        target[0, :3] = -1
    else:
        target[0, :3] = torch.nan
    tokens = torch.from_numpy(rng.normal(size=(COUNT, GRID**2, DIMS))).float()
    tokens[..., 0] += coarse.flatten(1)
    data = EvaluationData(
        name='made',
        task=task,
        images=torch.zeros(COUNT, 3, SIZE, SIZE),
        seen=torch.ones(COUNT, 1, SIZE, SIZE, dtype=torch.bool),
        target=target,
        groups=np.arange(COUNT) // 2,
        classes=['a', 'b', 'c'] if task == 'masks' else [],
        names=[str(number) for number in range(COUNT)],
    )
    return tokens, data


def test_targets_of_patches_are_those_of_a_loop():
    _, data = make('height')
    heights, known = patch_heights(data.target, data.seen, PATCH)
    _, masks = make('masks')
    classes, sure = patch_classes(masks.target, masks.seen, PATCH, 3)
    for image in range(COUNT):
        for number in range(GRID**2):
            row, column = divmod(number, GRID)
            place = (
                image,
                slice(row * PATCH, (row + 1) * PATCH),
                slice(column * PATCH, (column + 1) * PATCH),
            )
            values = data.target[place].numpy()
            assert bool(known[image, number]) == (np.isfinite(values).mean() >= 0.9)
            assert heights[image, number] == pytest.approx(np.nanmean(values), abs=1e-4)
            labels = masks.target[place].numpy().ravel()
            assert bool(sure[image, number]) == ((labels >= 0).mean() >= 0.9)
            assert classes[image, number] == np.bincount(labels[labels >= 0]).argmax()
    assert not known[0, :GRID].any() and not sure[0, :GRID].any()


def test_heights_equal_scikit_learn_fold_by_fold():
    tokens, data = make('height')
    settings = MeasurementSettings(ridge_penalties=(0.1,))
    found = probe_patches(tokens, data, settings)
    target, known = (x.numpy() for x in patch_heights(data.target, data.seen, PATCH))
    fold, inputs = group_folds(data.groups, 4), tokens.numpy().astype(float)
    expected = np.zeros((COUNT, 4))
    for number in range(4):
        train, query = fold != number, fold == number
        rows = inputs[train][known[train]]
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        model = Ridge(alpha=0.1 * len(rows)).fit((rows - mean) / std, target[train][known[train]])
        for image in np.flatnonzero(query):
            predicted = model.predict((inputs[image] - mean) / std)[known[image]]
            truth = target[image][known[image]]
            squares = [len(truth), truth.sum(), (truth**2).sum(), ((truth - predicted) ** 2).sum()]
            expected[image] = squares
    np.testing.assert_allclose(found.sums, expected, rtol=1e-3)


def test_masks_equal_scikit_learn_fold_by_fold():
    tokens, data = make('masks')
    found = probe_patches(tokens, data, MeasurementSettings(penalties=(0.01,)))
    target, known = (x.numpy() for x in patch_classes(data.target, data.seen, PATCH, 3))
    fold, inputs = group_folds(data.groups, 4), tokens.numpy().astype(float)
    expected = np.zeros((COUNT, 3, 3))
    for number in range(4):
        train = fold != number
        rows = inputs[train][known[train]]
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        model = LogisticRegression(C=1 / (0.01 * len(rows)), tol=1e-8, max_iter=5000)
        model.fit((rows - mean) / std, target[train][known[train]])
        for image in np.flatnonzero(~train):
            predicted = model.predict((inputs[image] - mean) / std)[known[image]]
            np.add.at(expected[image], (target[image][known[image]], predicted), 1)
    assert np.abs(found.sums - expected.reshape(COUNT, 9)).sum() <= 4  # on a boundary
    assert found.measures == ['mIoU']


@pytest.mark.parametrize('probe', [probe_patches, probe_pixels])
def test_masks_of_a_fold_do_not_change_its_predictions(probe):
    tokens, data = make('masks')
    settings = MeasurementSettings(conv_steps=10)
    before = probe(tokens, data, settings).sums
    last = group_folds(data.groups, 4) == 3
    changed = data.target[last]
    data.target[last] = torch.where(changed >= 0, 2 - changed, -1)
    after = probe(tokens, data, settings).sums
    # the columns of the confusion matrices are what was predicted
    matrices = [sums[last].reshape(-1, 3, 3).sum(axis=1) for sums in (before, after)]
    np.testing.assert_array_equal(*matrices)
    assert not np.allclose(before[~last], after[~last])


@pytest.mark.parametrize('probe', [probe_patches, probe_pixels])
def test_heights_of_a_fold_do_not_change_its_predictions(probe):
    """The squared error is a parabola in a shift of the truth, if the prediction stands still."""
    tokens, data = make('height')
    settings = MeasurementSettings(conv_steps=10)
    last = group_folds(data.groups, 4) == 3
    errors = []
    for _ in range(3):
        sums = probe(tokens, data, settings).sums
        errors.append(sums[last, 3])
        data.target[last] += 5.0
    curvature = errors[2] - 2 * errors[1] + errors[0]
    np.testing.assert_allclose(curvature, 2 * 25 * sums[last, 0], rtol=1e-3)


@pytest.mark.parametrize('task', ['height', 'masks'])
def test_the_convolutional_probe_learns_what_the_tokens_tell(task):
    tokens, data = make(task)
    settings = MeasurementSettings(conv_steps=60)
    told = probe_pixels(tokens, data, settings)
    blind = probe_pixels(torch.randn_like(tokens), data, settings)
    measure = 'R2' if task == 'height' else 'mIoU'
    scores = [float(SCORES[measure](one.sums.sum(axis=0))) for one in (told, blind)]
    assert scores[0] > scores[1] + 0.2
    pixels = (
        (data.target.isfinite() if task == 'height' else data.target >= 0).flatten(1).sum(dim=1)
    )
    counted = told.sums[:, 0] if task == 'height' else told.sums.sum(axis=1)
    np.testing.assert_array_equal(counted, pixels.numpy())


def test_the_penalty_suits_the_inner_folds():
    """Tokens that tell nothing: the strongest penalty; that tell all without noise: the weakest."""
    tokens, data = make('height')
    grid = (1e-4, 1.0, 1e4)
    nothing = probe_patches(
        torch.randn_like(tokens), data, MeasurementSettings(ridge_penalties=grid)
    )
    clean = patch_heights(data.target, data.seen, PATCH)[0][..., None].repeat(1, 1, 2)
    everything = probe_patches(clean, data, MeasurementSettings(ridge_penalties=grid))
    assert nothing.details['penalty'] == pytest.approx(1e4)
    assert everything.details['penalty'] == pytest.approx(1e-4)
    assert SCORES['R2'](everything.sums.sum(axis=0)) > 0.999


@pytest.mark.parametrize('task', ['height', 'masks'])
@pytest.mark.parametrize('probe', [probe_patches, probe_pixels])
def test_windows_without_a_known_target_change_nothing(task, probe):
    """The last half of the windows is unknown: the figures are those of the first half alone."""
    tokens, data = make(task)
    data.target[COUNT // 2 :] = torch.nan if task == 'height' else -1
    settings = MeasurementSettings(conv_steps=3, dense_folds=2)
    found = probe(tokens, data, settings).sums
    alone = probe(tokens[: COUNT // 2], data.take(np.arange(COUNT // 2)), settings).sums
    np.testing.assert_allclose(found[: COUNT // 2], alone, rtol=1e-5)
    assert not found[COUNT // 2 :].any()

    data.target[2:] = data.target[-1]
    with pytest.raises(ValueError, match="set 'made': fold 0 .* in 2 of 16 windows"):
        probe(tokens, data, settings)
