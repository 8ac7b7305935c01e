"""Features as colors, by one principal component analysis for all compared pictures."""

from dataclasses import dataclass

import numpy as np


@dataclass
class FeaturePCA:
    """A basis of principal components, with the range of the fitted features.

    Attributes:
        mean: mean (d,) of the fitted features.
        components: orthonormal components (k, d), the strongest first.
        variance: variance (k,) of the fitted features along each component.
        low, high: 1st and 99th percentile (k,) of the fitted features along each component.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, num_components: int = 3) -> 'FeaturePCA':
        """Fit to features (n, d); each component's largest weight is positive.

        Raises:
            ValueError: if there are no features, or they are not finite.
        """
        if features.ndim != 2 or not len(features) or not np.isfinite(features).all():
            raise ValueError(f'features: expected finite (n, d) with n > 0, found {features.shape}')
        features = features.astype(np.float64)
        mean = features.mean(axis=0)
        centered = features - mean
        values, vectors = np.linalg.eigh(centered.T @ centered / max(len(features) - 1, 1))
        order = np.argsort(values)[::-1][:num_components]
        components = vectors[:, order].T
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(len(components)), largest])[:, None]
        low, high = np.percentile(centered @ components.T, [1, 99], axis=0)
        return cls(mean, components, np.maximum(values[order], 0.0), low, high)

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Compute coordinates (..., k) of features (..., d)."""
        return (features.astype(np.float64) - self.mean) @ self.components.T

    def to_rgb(self, features: np.ndarray) -> np.ndarray:
        """Compute colors (..., 3) in 0...1 of features (..., d).

        The range of the fitted features maps to 0...1; a component without variance is 0.5.
        """
        projected = self.transform(features)
        span = self.high - self.low
        flat = span <= 1e-6 * (np.abs(self.mean).max() + 1e-30)
        scaled = (projected - self.low) / np.where(flat, 1.0, span)
        rgb = np.full((*scaled.shape[:-1], 3), 0.5)
        count = min(3, scaled.shape[-1])
        rgb[..., :count] = np.where(flat, 0.5, scaled)[..., :count]
        return rgb.clip(0, 1)
