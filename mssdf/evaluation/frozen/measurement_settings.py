"""Settings of a measurement: everything beside encoder and set that changes a score."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mssdf.errors import ConfigError
from mssdf.utils.fingerprints import digest_of

VERSION = 3  # raised whenever a score changes for the same settings


@dataclass(frozen=True)
class MeasurementSettings:
    """Settings of a measurement of frozen features.

    Attributes:
        img_size: side in pixels of the images that encoders see.
        k: numbers of neighbors.
        scene_folds: number of folds of the cross-validation over scenes, where every image is a
            query once.
        dense_folds: number of folds over groups of windows.
        shares: shares of the training labels for the logistic regression on scenes, in percent.
        penalties: candidate penalties of the logistic regression, chosen within the training folds.
        ridge_penalties: candidate penalties of the ridge regression, chosen within the training
            folds.
        conv: whether the convolutional probe is trained.
        conv_steps: number of training steps of the convolutional probe.
        seed: seed of the folds, the shares and the convolutional probe.
    """

    img_size: int = 128
    k: tuple[int, ...] = (20, 5)
    scene_folds: int = 5
    dense_folds: int = 4
    shares: tuple[float, ...] = (1.0, 10.0, 100.0)
    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    ridge_penalties: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
    conv: bool = True
    conv_steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: if a value is out of range or occurs twice.
        """
        good = dict(
            img_size=self.img_size > 0,
            k=_within(self.k),
            scene_folds=self.scene_folds > 1,
            dense_folds=self.dense_folds > 1,
            shares=_within(self.shares, 100),
            penalties=_within(self.penalties),
            ridge_penalties=_within(self.ridge_penalties),
            conv_steps=self.conv_steps > 0,
            seed=self.seed >= 0,
        )

        wrong = [name for name, fine in good.items() if not fine]
        if wrong:
            raise ConfigError(
                wrong[0],
                'positive values (at least 2 folds, shares up to 100 %)',
                getattr(self, wrong[0]),
            )

        for name in ('k', 'shares', 'penalties', 'ridge_penalties'):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ConfigError(name, 'different values', values)

    @property
    def digest(self) -> str:
        """Short hash of all settings and of the measurement's version."""
        return digest_of(asdict(self), VERSION)


def _within(values: Sequence[float], highest: float = sys.float_info.max) -> bool:
    """Tell whether there are values, all of them positive, finite and not too high."""
    return bool(values) and all(0 < value <= highest for value in values)
