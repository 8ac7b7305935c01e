"""L_pix: the pixels of hidden patches (method.md, section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from mssdf.structures import MaskedBatch
from mssdf.utils.options import check_choice

from ...heads import PixelHead
from ...losses import masked_pixel_loss
from ...losses.pixels import TARGETS, reconstruct
from ..forward import Forward
from .base import ModelShape, Needs, WindowTerm, total

LEAST_FLOOR = 1e-3  # of normalized values


@dataclass(frozen=True)
class PixelOptions:
    """Options of L_pix.

    Attributes:
        target: target of each modality, ``'normalized'`` patches or ``'raw'`` ones; a modality
            without an entry has normalized ones.
        floor: smallest standard deviation of a patch of each modality, in the modality's own unit
            (meters for a DSM); a modality without an entry has none.

    Raises:
        ValueError: for an unknown target.
    """

    target: Mapping[str, str] = field(default_factory=dict)
    floor: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in self.target.items():
            check_choice(f'pixel_target.{name}', kind, TARGETS)


class PixelTerm(WindowTerm):
    """L_pix between predicted and true pixels, summed over the modalities.

    Args:
        options: options of the term.
        units: size of each modality's own unit in its normalized values, inverted: the number of
            own units that a normalized value of 1 stands for.
    """

    names = ('pix',)
    needs = Needs(decoder=True)
    head: nn.Module

    def __init__(self, options: PixelOptions, units: Mapping[str, float]) -> None:
        self.target = {name: options.target.get(name, 'normalized') for name in units}
        self.floor = {
            name: max(options.floor.get(name, 0.0) / unit, LEAST_FLOOR)
            for name, unit in units.items()
        }

    def build_heads(self, shape: ModelShape) -> dict[str, nn.Module]:
        """Build a linear layer for each modality."""
        self.patch_size = shape.patch_size
        self.head = PixelHead(shape.decoded, shape.channels, shape.patch_size)
        return dict(pixel_head=self.head)

    def per_window(self, forward: Forward, batch: MaskedBatch) -> Tensor:
        """Compute L_pix of each window (B,)."""
        pixels = self._predict(forward)
        return total(
            masked_pixel_loss(
                pixels[name],
                batch.images[name],
                batch.pixel_valid[name],
                one.hidden,
                self.patch_size,
                self.floor[name],
                self.target[name],
                one.locations,
            )
            for name, one in forward.decoded.items()
        )

    def reconstruct(self, forward: Forward, batch: MaskedBatch) -> dict[str, Tensor]:
        """Put the predicted pixels of hidden patches into the windows (B, C, H, W)."""
        pixels: dict[str, Any] = self._predict(forward)
        return {
            name: reconstruct(
                pixels[name],
                batch.images[name],
                batch.pixel_valid[name],
                one.hidden,
                self.patch_size,
                self.floor[name],
                self.target[name],
            )
            for name, one in forward.decoded.items()
        }

    def _predict(self, forward: Forward) -> dict[str, Tensor]:
        return self.head({name: one.tokens for name, one in forward.decoded.items()})
