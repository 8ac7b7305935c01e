"""L_disc: the right patch among those of its window (method.md, section 6)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mssdf.structures import MaskedBatch
from mssdf.utils.options import check_positive

from ...heads import FrozenPatchProjection
from ...losses import discrimination_loss
from ..forward import Decoded, Forward
from .base import ModelShape, Needs, WindowTerm, total


@dataclass(frozen=True)
class DiscriminationOptions:
    """Options of L_disc.

    Attributes:
        temperature: divisor of the cosine similarities.

    Raises:
        ValueError: for a temperature that is not positive.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        check_positive('discrimination.temperature', self.temperature)


class DiscriminationTerm(WindowTerm):
    """L_disc against frozen, random projections of the patches, summed over the modalities.

    Args:
        options: options of the term.
    """

    names = ('disc',)
    needs = Needs(decoder=True, apart=True)
    head: nn.Module
    projection: nn.Module

    def __init__(self, options: DiscriminationOptions) -> None:
        self.options = options

    def build_heads(self, shape: ModelShape) -> dict[str, nn.Module]:
        """Build the frozen projection of patches, and the prediction of it."""
        self.projection = FrozenPatchProjection(shape.channels, shape.patch_size, shape.width)
        self.head = nn.Linear(shape.decoded, shape.width)
        return dict(patch_projection=self.projection, patch_head=self.head)

    def per_window(self, forward: Forward, batch: MaskedBatch) -> Tensor:
        """Compute L_disc of each window (B,)."""
        return total(self._of_modality(name, one, batch) for name, one in forward.decoded.items())

    def _of_modality(self, name: str, decoded: Decoded, batch: MaskedBatch) -> Tensor:
        target = self.projection(name, batch.images[name])
        locations = decoded.locations
        if locations is None:
            locations = torch.arange(target.shape[1], device=target.device).expand(len(target), -1)

        return discrimination_loss(
            self.head(decoded.tokens),
            target,
            locations,
            decoded.hidden,
            batch.patch_valid[name],
            self.options.temperature,
        )
