import numpy as np
import pytest
import torch

from mssdf.evaluation import effective_rank, feature_std


def numpy_rank(features: np.ndarray) -> float:
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)
    shares = values / values.sum()
    shares = shares[shares > 1e-15]
    return float(np.exp(-np.sum(shares * np.log(shares))))


@pytest.mark.parametrize('shape', [(200, 16), (16, 200), (2, 5), (50, 1)])
def test_rank_as_numpy(shape):
    features = np.random.default_rng(0).normal(size=shape) * np.linspace(0.1, 3, shape[1]) + 50
    assert effective_rank(torch.from_numpy(features)).item() == pytest.approx(
        numpy_rank(features), rel=1e-4
    )


def test_rank_of_known_spectra():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(64, 8)) - 0)[0]
    basis -= basis.mean(axis=0)
    basis = torch.from_numpy(np.linalg.qr(basis)[0])  # centered orthonormal columns
    for k in (1, 3, 8):
        weights = torch.zeros(8, dtype=torch.float64)
        weights[:k] = 2.5
        assert effective_rank(basis * weights).item() == pytest.approx(k, rel=1e-4)


@pytest.mark.parametrize('value', [0.0, 1.0, 0.1, 1e-20, 123456.7])
def test_constant_features_have_rank_one_and_no_spread(value):
    features = torch.full((300, 32), value) * torch.linspace(0.3, 7, 32)
    assert effective_rank(features).item() == pytest.approx(1.0)
    assert feature_std(features).item() == pytest.approx(0.0, abs=1e-5 * value)


def test_a_single_row():
    assert effective_rank(torch.randn(1, 8)).item() == pytest.approx(1.0)
    assert feature_std(torch.randn(1, 8)).item() == 0


def test_what_is_common_does_not_count():
    features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    assert effective_rank(features + 30).item() == pytest.approx(
        effective_rank(features).item(), rel=1e-3
    )


def test_std_as_numpy():
    features = np.random.default_rng(1).normal(size=(40, 7)) * np.arange(1, 8)
    assert feature_std(torch.from_numpy(features)).item() == pytest.approx(
        features.std(axis=0).mean(), rel=1e-5
    )


def test_half_precision():
    features = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    assert effective_rank(features.half()).dtype == torch.float32
    assert effective_rank(features.bfloat16()).item() == pytest.approx(
        effective_rank(features).item(), rel=0.02
    )


@pytest.mark.parametrize('shape', [(3,), (0, 4), (2, 3, 4)])
def test_other_shapes(shape):
    with pytest.raises(ValueError, match='n, d'):
        effective_rank(torch.zeros(shape))
    with pytest.raises(ValueError, match='n, d'):
        feature_std(torch.zeros(shape))
