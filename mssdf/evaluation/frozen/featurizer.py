"""Interface of encoders and baselines: images in, pooled features and patch tokens out."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

PRIMARY = 'rgb'
ANY_POOL = 'image'  # name of the pooling of features with a pooling of their own


@dataclass
class Tokens:
    """Features of a batch.

    Attributes:
        pooled: features (B, D) by the name of the pooling.
        patches: patch tokens (B, G, D), row by row of a square grid.
    """

    pooled: dict[str, Tensor]
    patches: Tensor


class Featurizer(Protocol):
    """A frozen encoder, or a baseline in its place.

    Attributes:
        metric: name of the distance for its nearest neighbors.
        normalization: description of the normalization and its source.
    """

    metric: str
    normalization: str

    def patch_size(self, size: int) -> int:
        """Return the side of a patch in pixels, for images of a size."""

    def takes(self, modality: str) -> bool:
        """Tell whether it has an input for a modality."""

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Compute the features of a batch.

        Args:
            modality: ``PRIMARY`` or the name of another modality.
            values: values (B, C, S, S) as in the files.
            valid: validity (B, 1, S, S) bool.
        """
