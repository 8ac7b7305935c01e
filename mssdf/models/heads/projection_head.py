"""Small networks between features and a contrastive term (method.md, section 6)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS


@MODELS.register_module()
class ProjectionHead(BaseModule):
    """A two-layer perceptron for each of several names: Linear, GELU, Linear.

    What a contrastive loss discards is discarded here instead of in the encoder (arXiv
    2002.05709).

    Args:
        names: names of the networks: modalities, or a single one that all share.
        in_dims: width D of the encoder.
        out_dims: width of the projection.
    """

    def __init__(self, names: Sequence[str], in_dims: int, out_dims: int = 128) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(in_dims, 2 * in_dims), nn.GELU(), nn.Linear(2 * in_dims, out_dims)
                )
                for name in names
            }
        )

    def forward(self, name: str, tokens: Tensor) -> Tensor:
        """Map tokens (..., D) by the network of a name to (..., out_dims)."""
        return self.layers[name](tokens)
