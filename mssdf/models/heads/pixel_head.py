"""One linear layer per modality from decoded tokens to the pixels of a patch (L_pix)."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS


@MODELS.register_module()
class PixelHead(BaseModule):
    """Predict the pixels of each patch.

    Args:
        in_dims: width of the modality decoder.
        channels: bands of each modality.
        patch_size: side of a patch in pixels.
    """

    def __init__(self, in_dims: int, channels: dict[str, int], patch_size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: nn.Linear(in_dims, patch_size**2 * bands) for name, bands in channels.items()}
        )

    def init_weights(self) -> None:
        """Xavier-uniform weights and zero biases."""
        for layer in self.layers.values():
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, decoded: dict[str, Tensor]) -> dict[str, Tensor]:
        """Map (B, N, D) of each modality to (B, N, p * p * C_m)."""
        return {name: layer(decoded[name]) for name, layer in self.layers.items()}
