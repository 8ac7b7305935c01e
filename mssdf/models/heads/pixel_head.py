"""Linear layers, one per modality, from decoded tokens to the pixels of a patch (L_pix)."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS

from .zero_linear import ZeroLinear


@MODELS.register_module()
class PixelHead(BaseModule):
    """A prediction of the pixels of each patch, which starts at zero.

    Args:
        in_dims: width D of the modality decoder.
        channels: number of bands of each modality.
        patch_size: side of a patch in pixels.
    """

    def __init__(self, in_dims: int, channels: dict[str, int], patch_size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: ZeroLinear(in_dims, patch_size**2 * bands) for name, bands in channels.items()}
        )

    def forward(self, decoded: dict[str, Tensor]) -> dict[str, Tensor]:
        """Map tokens (B, Q, D) of each modality to pixels (B, Q, p * p * C_m)."""
        return {name: layer(decoded[name]) for name, layer in self.layers.items()}
