"""The stack of transformer layers that makes up both decoders."""

from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor, nn

from mssdf.errors import ConfigError

from ..utils.attention import EncoderLayer


class DecoderLayers(BaseModule):
    """A stack of pre-norm transformer layers and a final norm.

    Args:
        embed_dims: width D of the tokens.
        num_layers: number of layers.
        num_heads: number of attention heads of each layer.
        mlp_ratio: width of the hidden layer over ``embed_dims``.

    Raises:
        ValueError: if the heads do not divide the width.
    """

    def __init__(
        self, embed_dims: int, num_layers: int, num_heads: int, mlp_ratio: float = 4.0
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dims % num_heads:
            raise ConfigError('num_heads', f'a divisor of embed_dims={embed_dims}', num_heads)
        hidden, norm = int(mlp_ratio * embed_dims), dict(type='LN', eps=1e-6)
        self.layers = nn.ModuleList(
            EncoderLayer(TransformerEncoderLayer(embed_dims, num_heads, hidden, norm_cfg=norm))
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)

    def init_weights(self) -> None:
        """Draw Xavier-uniform weights and set biases to zero, as MAE does."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Run all layers.

        Args:
            tokens: (B, L, D).
            key_mask: (B, L) bool, true at keys that may be attended to; all if None.

        Returns:
            (B, L, D) normed tokens.
        """
        for layer in self.layers:
            tokens = layer(tokens, key_mask)
        return self.norm(tokens)
