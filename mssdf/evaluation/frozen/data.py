"""Evaluation data in memory: images with their targets."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

TASKS = ('scenes', 'masks', 'height')


@dataclass
class EvaluationData:
    """A set of images of one size with their targets.

    Attributes:
        name: name of the evaluation set.
        task: name of the task, one of ``TASKS``.
        images: images (N, 3, S, S), uint8 or float32.
        seen: validity (N, 1, S, S) bool of the images.
        target: classes (N,) int64 of scenes; classes (N, S, S) int64 of pixels, -1 where unknown;
            or heights (N, S, S) float32 in meters relative to the window's median, NaN where
            unknown.
        groups: group (N,) int of each image. Images of one group are never on both sides of a
            split, and neighboring groups have neighboring numbers. None if the images are
            independent.
        classes: names of the classes; empty for heights.
        names: N names of the images.
        modalities: further modalities by name, as values (N, C, S, S) float32 and validity (N, 1,
            S, S).
    """

    name: str
    task: str
    images: Tensor
    seen: Tensor
    target: Tensor
    groups: NDArray[np.int64] | None
    classes: list[str]
    names: list[str]
    modalities: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.images.shape[-1]

    def take(self, chosen: NDArray[np.int64]) -> 'EvaluationData':
        """Select some of the images by their indices."""
        return EvaluationData(
            name=self.name,
            task=self.task,
            images=self.images[chosen],
            seen=self.seen[chosen],
            target=self.target[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            classes=self.classes,
            names=[self.names[index] for index in chosen],
            modalities={
                name: (values[chosen], valid[chosen])
                for name, (values, valid) in self.modalities.items()
            },
        )
