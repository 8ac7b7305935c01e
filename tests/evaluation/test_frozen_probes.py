"""Logistic and ridge regression, neighbors and folds beside scikit-learn's and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

from mssdf.evaluation.frozen.folds import fold_numbers, group_folds, inner_splits, label_share
from mssdf.evaluation.frozen.lbfgs import minimize
from mssdf.evaluation.frozen.logistic import fit_logistic
from mssdf.evaluation.frozen.measurement_settings import MeasurementSettings
from mssdf.evaluation.frozen.neighbors import nearest_labels, vote
from mssdf.evaluation.frozen.probing import choose_penalties
from mssdf.evaluation.frozen.ridge import fit_ridge
from mssdf.evaluation.frozen.scene_probes import probe_scenes


def blobs(count=150, dims=6, classes=3, seed=0, spread=1.5):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    features = rng.normal(size=(classes, dims))[labels] + spread * rng.normal(size=(count, dims))
    return features * rng.uniform(0.1, 10, dims) + rng.normal(size=dims), labels


def test_minimize_finds_the_minima_of_quadratics_of_very_different_scale():
    torch.manual_seed(0)
    roots = torch.randn(5, 8, 8, dtype=torch.float64)
    matrices = roots @ roots.transpose(1, 2) + 0.1 * torch.eye(8)
    matrices *= torch.tensor([1e-2, 1, 10, 100, 1e3]).view(-1, 1, 1)
    centers = torch.randn(5, 8, dtype=torch.float64)

    def objective(point, which):
        error = point - centers[which]
        push = (matrices[which] @ error[:, :, None])[:, :, 0]
        return (error * push).sum(dim=1) / 2, push

    found = minimize(objective, torch.zeros(5, 8, dtype=torch.float64), 1e-9, 500)
    torch.testing.assert_close(found, centers, atol=1e-6, rtol=0)


@pytest.mark.parametrize('classes', [2, 3])
def test_logistic_equals_scikit_learn_for_every_fold_and_penalty(classes):
    features, labels = blobs(classes=classes)
    order = np.random.default_rng(1).permutation(150)
    members = np.stack([order % 3 != fold for fold in range(3)]).repeat(2, axis=0)
    penalties = [1e-3, 1e-1] * 3
    models = fit_logistic(
        torch.from_numpy(features),
        torch.from_numpy(labels),
        torch.from_numpy(members),
        torch.tensor(penalties, dtype=torch.float64),
        classes,
        tolerance=1e-8,
        max_iterations=2000,
    )
    for problem, penalty in enumerate(penalties):
        rows = members[problem]
        mean, std = features[rows].mean(axis=0), features[rows].std(axis=0)
        strength = (2 if classes == 2 else 1) / (penalty * rows.sum())
        other = LogisticRegression(C=strength, tol=1e-10, max_iter=10000)
        other.fit((features[rows] - mean) / std, labels[rows])
        expected = other.predict_proba((features - mean) / std)
        found = models.logits(torch.from_numpy(features), problem).softmax(dim=1).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ridge_equals_scikit_learn_and_numpy():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 5)) * [1, 10, 0.1, 3, 1] + 4
    targets = features @ rng.normal(size=5) + rng.normal(size=80)
    penalties = [1e-3, 0.1, 10.0]
    models = fit_ridge(
        torch.from_numpy(features), torch.from_numpy(targets), torch.tensor(penalties)
    )
    new = rng.normal(size=(7, 5))
    found = models.predict(torch.from_numpy(new))
    mean, std = features.mean(axis=0), features.std(axis=0)
    standard = (features - mean) / std
    for line, penalty in zip(found.numpy(), penalties, strict=True):
        other = Ridge(alpha=penalty * 80).fit(standard, targets)
        np.testing.assert_allclose(line, other.predict((new - mean) / std), rtol=1e-5)
        gram = standard.T @ standard + 80 * penalty * np.eye(5)
        weight = np.linalg.solve(gram, standard.T @ (targets - targets.mean()))
        expected = (new - mean) / std @ weight + targets.mean()
        np.testing.assert_allclose(line, expected, rtol=1e-5)


def test_a_constant_feature_changes_nothing():
    features, labels = blobs()
    wide = np.concatenate([features, np.full((150, 1), 7.0)], axis=1)
    for values in (features, wide):
        models = fit_logistic(
            torch.from_numpy(values),
            torch.from_numpy(labels),
            torch.ones(1, 150, dtype=torch.bool),
            torch.tensor([0.1], dtype=torch.float64),
            3,
            tolerance=1e-8,
        )
        found = models.logits(torch.from_numpy(values), 0)
        ridge = fit_ridge(torch.from_numpy(values), torch.from_numpy(labels), torch.tensor([0.1]))
        predicted = ridge.predict(torch.from_numpy(values))
        if values is features:
            expected = found, predicted
    torch.testing.assert_close(found, expected[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(predicted, expected[1])


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
@pytest.mark.parametrize('k', [1, 5, 20])
def test_neighbors_equal_scikit_learn(metric, k):
    features, labels = blobs(count=300, classes=7, spread=3.0)
    bank, query = features[:200], features[200:]
    nearest = nearest_labels(*(torch.from_numpy(x) for x in (bank, labels[:200], query)), k, metric)
    if metric == 'euclidean':
        mean, std = bank.mean(axis=0), bank.std(axis=0)
        bank, query = (bank - mean) / std, (query - mean) / std
    other = KNeighborsClassifier(k, metric=metric).fit(bank, labels[:200])
    np.testing.assert_array_equal(vote(nearest, 7).numpy(), other.predict(query))


def test_a_tied_vote_goes_to_the_first_class():
    assert vote(torch.tensor([[2, 1, 1, 2, 0], [3, 3, 0, 0, 1]]), 4).tolist() == [1, 0]


def test_neighbors_of_wrong_input():
    features, labels = torch.rand(4, 2), torch.arange(4)
    with pytest.raises(ValueError, match='expected 1 to 4'):
        nearest_labels(features, labels, features, 5)
    with pytest.raises(ValueError, match='query: expected finite'):
        nearest_labels(features, labels, features * torch.nan, 1)
    with pytest.raises(ValueError, match='metric'):
        nearest_labels(features, labels, features, 1, 'manhattan')


def test_shares_of_labels_are_nested_stratified_and_never_lack_a_class():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    rows = np.flatnonzero(np.arange(160) % 5 != 0)
    one, ten, all_of_them = (label_share(labels, rows, share) for share in (0.01, 0.1, 1.0))
    assert set(one) < set(ten) < set(all_of_them) == set(rows)
    assert np.bincount(labels[one]).tolist() == [1, 1, 1]
    assert np.bincount(labels[ten]).tolist() == [8, 4, 1]
    assert set(label_share(labels, rows, 0.1, seed=1)) != set(ten)


def test_groups_are_whole_and_folds_are_runs_of_neighbors():
    groups = np.repeat([4, 0, 9, 2, 7], [3, 5, 2, 4, 6])
    fold = group_folds(groups, 3)
    assert sorted(set(fold)) == [0, 1, 2]
    by_group = {group: set(fold[groups == group]) for group in groups}
    assert all(len(found) == 1 for found in by_group.values())
    ordered = [min(by_group[group]) for group in sorted(by_group)]
    assert ordered == sorted(ordered)
    assert set(group_folds(np.array([0, 0, 1]), 4)) == {0, 1}
    with pytest.raises(ValueError, match='expected at least two'):
        group_folds(np.zeros(5, int), 2)


def test_one_large_group_leaves_folds_without_a_gap():
    fold = group_folds(np.array([0] * 100 + [1, 2, 3]), 4)
    assert fold.min() == 0 and sorted(set(fold)) == list(range(fold.max() + 1))
    assert fold.max() >= 1


@pytest.mark.parametrize('count, splits', [(30, 3), (600, 1)])
def test_inner_splits_stay_inside_the_training_rows(count, splits):
    labels = np.arange(800) % 3
    rows = np.arange(count)
    found = inner_splits(labels, rows)
    assert len(found) == splits
    for train, held in found:
        assert not set(train) & set(held) and set(train) | set(held) == set(rows)
        assert set(labels[train]) == set(labels[held]) == {0, 1, 2}
    assert inner_splits(labels, np.array([0, 1, 2])) == []


def test_the_penalty_is_that_of_a_plain_loop_over_scikit_learn():
    features, labels = blobs(count=240, dims=30, spread=2.5)
    grid = [1e-4, 1e-2, 1.0, 30.0]
    splits = [inner_splits(labels, np.arange(0, 120)), inner_splits(labels, np.arange(120, 240))]
    expected = []
    for own in splits:
        right = []
        for penalty in grid:
            count = 0
            for train, held in own:
                mean, std = features[train].mean(axis=0), features[train].std(axis=0)
                other = LogisticRegression(C=1 / (penalty * len(train)), max_iter=5000)
                other.fit((features[train] - mean) / std, labels[train])
                count += (other.predict((features[held] - mean) / std) == labels[held]).sum()
            right.append(count)
        expected.append(right)
    chosen = choose_penalties(
        torch.from_numpy(features), torch.from_numpy(labels), splits, grid, 3, by_accuracy=True
    )
    for penalty, right in zip(chosen, expected, strict=True):
        assert right[grid.index(penalty)] >= max(right) - 1  # the inner fits are rough


def test_scenes_give_what_scikit_learn_gives():
    features, labels = blobs(count=200, classes=4, spread=1.2)
    settings = MeasurementSettings(k=(5,), penalties=(0.01,), shares=(10.0, 100.0))
    found = probe_scenes(
        torch.from_numpy(features), torch.from_numpy(labels), 4, settings, 'cosine', 'cls'
    )
    fold = fold_numbers(labels, 5, 0)
    knn, linear = np.zeros(200, int), {10.0: np.zeros(200, int), 100.0: np.zeros(200, int)}
    for number in range(5):
        train, query = np.flatnonzero(fold != number), fold == number
        other = KNeighborsClassifier(5, metric='cosine').fit(features[train], labels[train])
        knn[query] = other.predict(features[query])
        for share, predicted in linear.items():
            rows = label_share(labels, train, share / 100)
            mean, std = features[rows].mean(axis=0), features[rows].std(axis=0)
            model = LogisticRegression(C=1 / (0.01 * len(rows)), tol=1e-8, max_iter=5000)
            model.fit((features[rows] - mean) / std, labels[rows])
            predicted[query] = model.predict((features[query] - mean) / std)
    by_name = {(one.probe, one.labels): one.sums for one in found}
    np.testing.assert_array_equal(by_name['kNN-5', 100.0][:, 0], knn == labels)
    for share, predicted in linear.items():
        differing = (by_name['linear', share][:, 0] != (predicted == labels)).sum()
        assert differing <= 1  # a query on a boundary


def test_settings_that_cannot_be_used():
    for wrong in (dict(scene_folds=1), dict(shares=(0.0,)), dict(penalties=()), dict(k=(0,))):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MeasurementSettings(**wrong)
    assert (
        MeasurementSettings().digest
        == MeasurementSettings().digest
        != MeasurementSettings(seed=1).digest
    )


@pytest.mark.parametrize('offset', [0, 100, 3000])
def test_logistic_of_float32_features_far_from_zero(offset):
    features, labels = blobs(spread=1.0)
    features = ((features - features.mean(axis=0)) / features.std(axis=0) + offset).astype('f4')
    rows = np.arange(150) % 5 != 0
    models = fit_logistic(
        torch.from_numpy(features),
        torch.from_numpy(labels),
        torch.from_numpy(rows[None]),
        torch.tensor([1e-2]),
        3,
    )
    exact = features.astype('f8')
    mean, std = exact[rows].mean(axis=0), exact[rows].std(axis=0)
    other = LogisticRegression(C=1 / (1e-2 * rows.sum()), tol=1e-8, max_iter=5000)
    other.fit((exact[rows] - mean) / std, labels[rows])
    expected = other.predict_proba((exact - mean) / std)
    found = models.logits(torch.from_numpy(features), 0).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
