"""Values on the student's way from visible patches to predictions."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Encoded:
    """Output of the student's encoder for one modality's visible patches.

    Attributes:
        cls_token: (B, D) cls token.
        tokens: (B, K, D) patch tokens.
        locations: (B, K) their patches.
        keep: (B, K) bool, false at padding.
    """

    cls_token: Tensor
    tokens: Tensor
    locations: Tensor
    keep: Tensor

    def on_grid(self, tokens: Tensor, num_patches: int) -> Tensor:
        """Put tokens (B, K, d) at their locations: (B, N, d), 0 or padding elsewhere."""
        index = self.locations.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        grid = tokens.new_zeros(len(tokens), num_patches, tokens.shape[-1])
        return grid.scatter(1, index, tokens)

    def mean_token(self) -> Tensor:
        """Average the visible patch tokens: (B, D), 0 for a window without any."""
        weight = self.keep.unsqueeze(-1).float()
        total = torch.where(weight > 0, self.tokens.float(), 0.0).sum(dim=1)
        return total / weight.sum(dim=1).clamp(min=1)


@dataclass
class Decoded:
    """Output of the modality decoder for one modality.

    Attributes:
        tokens: (B, Q, D) decoded tokens.
        hidden: (B, Q) bool, true at masked, valid patches.
        locations: (B, Q) their patches; None if they are all N in raster order.
    """

    tokens: Tensor
    hidden: Tensor
    locations: Tensor | None = None

    def pick(self, values: Tensor) -> Tensor:
        """Take the values (B, N, d) of the decoded patches: (B, Q, d)."""
        if self.locations is None:
            return values
        return values.gather(1, self.locations.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
