"""Anything that turns images into pooled features and patch tokens."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

PRIMARY = 'rgb'
ANY_POOL = 'image'  # features that are pooled in a way of their own


@dataclass
class Tokens:
    """Features of a batch.

    Attributes:
        pooled: (B, D) by the name of the pooling.
        patches: (B, G, D), row by row of a square grid.
    """

    pooled: dict[str, Tensor]
    patches: Tensor


class Featurizer(Protocol):
    """A frozen encoder, or a baseline that stands in its place.

    Attributes:
        metric: distance of its nearest neighbors.
        normalization: what is subtracted and divided by, and where that comes from.
    """

    metric: str
    normalization: str

    def patch_size(self, size: int) -> int:
        """Side of a patch in pixels, of images of a size."""

    def takes(self, modality: str) -> bool:
        """Tell whether it has an input for a modality."""

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Features of a batch.

        Args:
            modality: ``PRIMARY`` or the name of another modality.
            values: (B, C, S, S), as in the files.
            valid: (B, 1, S, S) bool.
        """
