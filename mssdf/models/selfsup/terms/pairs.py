"""L_align and L_hsic: two modalities at the same locations (method.md, section 6)."""

from collections.abc import Mapping

from torch import Tensor, nn

from mssdf.structures import MaskedBatch

from ...heads import ProjectionHead
from ...losses.pixels import patch_range
from ..forward import Forward
from ..pairwise import PairwiseOptions, pairwise_terms
from .base import LossTerm, ModelShape, Needs


class PairwiseTerm(LossTerm):
    """L_align, L_hsic or both, which share the draw of locations and its exchange over ranks.

    Args:
        names: names of those that are wanted.
        options: options of both.
        units: number of a modality's own units that a normalized value of 1 stands for.
    """

    head: nn.Module | None = None

    def __init__(
        self, names: tuple[str, ...], options: PairwiseOptions, units: Mapping[str, float]
    ) -> None:
        self.names = names
        self.options = options
        self.units = units
        predicted = options.features == 'predicted'
        self.needs = Needs(
            decoder=predicted, prediction=predicted, all_locations=predicted, apart=predicted
        )

    def build_heads(self, shape: ModelShape) -> dict[str, nn.Module]:
        """Build a projector for each modality, if L_align looks through one."""
        self.patch_size = shape.patch_size
        if 'align' not in self.names or not self.options.projector:
            return {}
        self.head = ProjectionHead(shape.modalities, shape.width, self.options.projector)
        return dict(align_head=self.head)

    def compute(self, forward: Forward, batch: MaskedBatch) -> dict[str, Tensor]:
        """Compute the wanted terms."""
        if self.options.features == 'predicted':
            features, eligible = forward.predicted, batch.patch_valid
            projected = self._project(features)
        else:
            # projected before the grid: there are fewer visible tokens than locations
            tokens = {name: one.tokens for name, one in forward.encoded.items()}
            features, projected = self._on_grid(forward, batch, tokens), self._project(tokens)
            projected = projected and self._on_grid(forward, batch, projected)
            eligible = {name: ~batch.masks[name] for name in forward.encoded}

        return pairwise_terms(
            features,
            eligible,
            self.options,
            noise=batch.noise,
            projected=projected,
            flat=self.flat_patches(batch),
            align='align' in self.names,
            hsic='hsic' in self.names,
        )

    def flat_patches(self, batch: MaskedBatch) -> dict[str, Tensor]:
        """Find the patches (B, N) whose heights lie within ``pairwise.flat`` meters."""
        flat = {}
        for name in self.options.flat.keys() & batch.images.keys():
            low, high = patch_range(batch.images[name], batch.pixel_valid[name], self.patch_size)
            flat[name] = (high - low) * self.units[name] <= self.options.flat[name]
        return flat

    def _project(self, features: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if self.head is None:
            return None
        return {name: self.head(name, one) for name, one in features.items()}

    @staticmethod
    def _on_grid(
        forward: Forward, batch: MaskedBatch, values: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        num_patches = batch.score.shape[1]
        return {
            name: one.on_grid(values[name], num_patches) for name, one in forward.encoded.items()
        }
