"""L_cls: the modality that a cls token comes from (method.md, sections 4 and 6)."""

import torch
from torch import Tensor, nn

from mssdf.structures import MaskedBatch

from ...heads import ModalityHead
from ...losses import modality_loss
from ..forward import Forward
from .base import ModelShape, WindowTerm


class ModalityTerm(WindowTerm):
    """L_cls over the modalities that a window has."""

    names = ('cls',)
    head: nn.Module

    def build_heads(self, shape: ModelShape) -> dict[str, nn.Module]:
        """Build the classifier."""
        self.modalities = shape.modalities
        self.head = ModalityHead(shape.width, len(shape.modalities))
        return dict(modality_head=self.head)

    def per_window(self, forward: Forward, batch: MaskedBatch) -> Tensor:
        """Compute L_cls of each window (B,)."""
        encoded = forward.encoded
        tokens = torch.stack([encoded[name].cls_token for name in self.modalities], dim=1)
        present = torch.stack([batch.present(name) for name in self.modalities], dim=1)
        return modality_loss(self.head(tokens), present)
