import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from mssdf.evaluation import (
    bootstrap_interval,
    effective_rank,
    evaluate_knn,
    feature_std,
    gain_interval,
    knn_accuracy,
    knn_predict,
    stratified_folds,
)


def clusters(seed: int, spread: float = 2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 160)
    features = rng.normal(size=(4, 12))[labels] + spread * rng.normal(size=(160, 12))
    return features[:110], labels[:110], features[110:], labels[110:]


def brute_force(bank, bank_labels, query, k, weights):
    """Cosine distances, sort, vote; the smallest label wins a tie."""
    found = []
    for vector in query:
        cosine = bank @ vector / np.linalg.norm(bank, axis=1) / np.linalg.norm(vector)
        distance = 1 - cosine
        nearest = np.argsort(distance, kind='stable')[:k]
        votes = np.zeros(bank_labels.max() + 1)
        for index in nearest:
            votes[bank_labels[index]] += 1 if weights == 'uniform' else 1 / distance[index]
        found.append(votes.argmax())
    return np.array(found)


@pytest.mark.parametrize('weights', ['uniform', 'distance'])
@pytest.mark.parametrize('k', [1, 7, 20])
def test_as_brute_force(k, weights):
    for seed in range(3):
        bank, bank_labels, query, query_labels = clusters(seed)
        expected = brute_force(bank, bank_labels, query, k, weights)
        found = knn_predict(bank, bank_labels, query, k, weights=weights)
        np.testing.assert_array_equal(found, expected)
        accuracy = knn_accuracy(bank, bank_labels, query, query_labels, k, weights=weights)
        assert accuracy == np.mean(expected == query_labels)
        assert 0.2 < accuracy < 1  # neither trivial nor chance


def test_as_scikit_learn_with_another_metric():
    bank, bank_labels, query, query_labels = clusters(5)
    classifier = KNeighborsClassifier(9, metric='euclidean').fit(bank, bank_labels)
    assert knn_accuracy(
        bank, bank_labels, query, query_labels, 9, metric='euclidean'
    ) == classifier.score(query, query_labels)


def test_evaluation_of_a_split():
    bank, bank_labels, query, query_labels = clusters(2)
    features = np.concatenate([query, bank]).astype(np.float32)
    labels = np.concatenate([query_labels, bank_labels])
    result = evaluate_knn(features, labels, [(np.arange(50, 160), np.arange(50))], k=5)
    assert result.accuracy == knn_accuracy(bank, bank_labels, query, query_labels, 5)
    assert result.correct.mean() == result.accuracy
    import torch

    assert result.effective_rank == effective_rank(torch.from_numpy(features)).item()
    assert result.feature_std == feature_std(torch.from_numpy(features)).item()


def test_cross_validation_as_scikit_learn():
    bank, bank_labels, _, _ = clusters(3)
    folds = stratified_folds(bank_labels, 4)
    result = evaluate_knn(bank.astype(np.float32), bank_labels, folds, k=5)
    scores = cross_val_score(
        KNeighborsClassifier(5, metric='cosine'), bank.astype(np.float32), bank_labels, cv=folds
    )
    sizes = [len(query) for _, query in folds]
    assert result.accuracy == pytest.approx(np.average(scores, weights=sizes))
    assert sorted(np.concatenate([query for _, query in folds])) == list(range(len(bank)))


def test_gain_as_drawing_queries_again():
    rng = np.random.default_rng(0)
    reference = rng.random(400) < 0.5
    correct = np.where(rng.random(400) < 0.8, reference, rng.random(400) < 0.7)
    means = []
    for _ in range(4000):
        drawn = rng.integers(0, 400, 400)
        means.append(correct[drawn].mean() - reference[drawn].mean())
    expected = tuple(np.quantile(means, [0.025, 0.975]))
    assert gain_interval(correct, reference) == pytest.approx(expected, abs=0.006)
    assert gain_interval(correct, correct) == (0, 0)


def test_bootstrap_as_drawing_queries_again():
    correct = np.random.default_rng(0).random(150) < 0.6
    low, high = bootstrap_interval(correct)
    rng = np.random.default_rng(1)
    means = [correct[rng.integers(0, 150, 150)].mean() for _ in range(4000)]
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.008)
    assert low < correct.mean() < high
    assert bootstrap_interval(correct) == (low, high)
    assert bootstrap_interval(np.ones(10, bool)) == (1, 1)


def test_wrong_input():
    bank, bank_labels, query, _ = clusters(0)
    with pytest.raises(ValueError, match='1 to 110.*found 111'):
        knn_predict(bank, bank_labels, query, 111)
    query[3, 2] = np.nan
    with pytest.raises(ValueError, match='query.*finite'):
        knn_predict(bank, bank_labels, query)
