"""Results of a forward pass, from visible patches to predictions and targets."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Encoded:
    """Output of the student's encoder for one modality's visible patches.

    Attributes:
        cls_token: cls token (B, D).
        tokens: patch tokens (B, K, D).
        locations: indices (B, K) of their patches.
        keep: mask (B, K), false at padding.
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
        tokens: decoded tokens (B, Q, D).
        hidden: mask (B, Q), true at masked, valid patches.
        locations: indices (B, Q) of the decoded patches; None if they are all N in raster order.
    """

    tokens: Tensor
    hidden: Tensor
    locations: Tensor | None = None

    def pick(self, values: Tensor) -> Tensor:
        """Take the values (B, N, d) of the decoded patches: (B, Q, d)."""
        if self.locations is None:
            return values
        return values.gather(1, self.locations.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


@dataclass
class Forward:
    """Result of a forward pass over a batch, made once for all loss terms and pictures.

    Each dictionary has an entry per modality; it is empty where no loss term needs it.

    Attributes:
        encoded: output of the student's encoder.
        second: output of the student's encoder for the second view.
        decoded: output of the modality decoder.
        predicted: features (B, Q, D) that the student predicts in the teacher's place.
        targets: normalized features (B, N, D) of the teacher.
        teacher_features: features (B, N, D) of the teacher before normalization.
    """

    encoded: dict[str, Encoded]
    second: dict[str, Encoded] = field(default_factory=dict)
    decoded: dict[str, Decoded] = field(default_factory=dict)
    predicted: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)
    teacher_features: dict[str, Tensor] = field(default_factory=dict)
