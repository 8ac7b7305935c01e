import numpy as np
import pytest
from sklearn.decomposition import PCA

from mssdf.visualization import FeaturePCA


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(300, 24)) * np.linspace(5, 0.5, 24)
    return mixed @ np.linalg.qr(rng.normal(size=(24, 24)))[0] + 3


def test_as_scikit_learn_but_for_signs(features):
    ours, theirs = FeaturePCA.fit(features), PCA(3).fit(features)
    np.testing.assert_allclose(np.abs(ours.components), np.abs(theirs.components_), atol=1e-8)
    np.testing.assert_allclose(ours.variance, theirs.explained_variance_, rtol=1e-8)
    new = np.random.default_rng(1).normal(size=(4, 5, 24))
    expected = theirs.transform(new.reshape(20, 24)).reshape(4, 5, 3)
    np.testing.assert_allclose(np.abs(ours.transform(new)), np.abs(expected), atol=1e-8)


def test_signs_do_not_depend_on_the_solver(features):
    ours = FeaturePCA.fit(features)
    assert (ours.components.max(axis=1) == np.abs(ours.components).max(axis=1)).all()
    np.testing.assert_allclose(
        FeaturePCA.fit(features[::-1]).components, ours.components, atol=1e-8
    )


def test_colors_fill_the_range_of_the_fitted_features(features):
    pca = FeaturePCA.fit(features)
    colors = pca.to_rgb(features)
    assert colors.shape == (300, 3)
    for channel in colors.T:
        assert channel.min() == 0 and channel.max() == 1
        assert np.mean((channel > 0) & (channel < 1)) == pytest.approx(0.98, abs=0.01)
    # in the order of the projection
    assert (np.argsort(pca.transform(features)[10:20, 1]) == np.argsort(colors[10:20, 1])).all()
    # of other features with the same basis and range
    np.testing.assert_allclose(pca.to_rgb(features[:7] + 0), colors[:7])


def test_constant_features_are_gray():
    pca = FeaturePCA.fit(np.full((10, 8), 2.7))
    np.testing.assert_array_equal(pca.to_rgb(np.full((2, 8), 2.7)), 0.5)


def test_fewer_dimensions_than_colors():
    colors = FeaturePCA.fit(np.random.default_rng(0).normal(size=(50, 2))).to_rgb(np.zeros((4, 2)))
    assert colors.shape == (4, 3)
    np.testing.assert_array_equal(colors[:, 2], 0.5)


def test_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match='finite'):
        FeaturePCA.fit(np.array([[1.0, np.nan]]))
