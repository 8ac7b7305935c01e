"""The classifier of the modality that a cls token comes from (method.md, section 4)."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS


@MODELS.register_module()
class ModalityHead(BaseModule):
    """A classifier of modalities: LayerNorm, Linear, GELU, Linear.

    Args:
        in_dims: width D of the encoder.
        num_modalities: number of modalities M, the classes.
    """

    def __init__(self, in_dims: int, num_modalities: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(in_dims, eps=1e-6),
            nn.Linear(in_dims, in_dims),
            nn.GELU(),
            nn.Linear(in_dims, num_modalities),
        )

    def forward(self, cls_token: Tensor) -> Tensor:
        """Map cls tokens (..., D) to logits (..., M)."""
        return self.layers(cls_token)
