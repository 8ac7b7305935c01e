"""Fusion decoder: the visible tokens of all modalities into one set of fused tokens."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS

from ..utils.attention import safe_key_mask
from ..utils.positions import gather_tokens, sincos_positions, visible_indices
from .decoder_layers import DecoderLayers


@MODELS.register_module()
class FusionDecoder(BaseModule):
    """One fused token for each location that is visible in at least one modality.

    The number of fused locations differs from sample to sample; sequences have a common length
    and padding is hidden by key masks. Source: method.md, section 4.

    Args:
        in_dims: width of the encoder.
        embed_dims: width of the decoder.
        num_layers: number of transformer layers.
        num_heads: attention heads of each.
    """

    def __init__(
        self, in_dims: int = 768, embed_dims: int = 384, num_layers: int = 3, num_heads: int = 6
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.project = nn.Linear(in_dims, embed_dims, bias=False)
        self.fusion_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.decoder = DecoderLayers(embed_dims, num_layers, num_heads)

    def init_weights(self) -> None:
        """Initialise as MAE does its decoder."""
        nn.init.normal_(self.fusion_token, std=0.02)
        nn.init.xavier_uniform_(self.project.weight)
        self.decoder.init_weights()

    def forward(
        self,
        tokens: dict[str, Tensor],
        locations: dict[str, Tensor],
        keep: dict[str, Tensor],
        grid: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse.

        Args:
            tokens: (B, K_m, D) visible tokens of each modality, cls token added.
            locations: (B, K_m) their locations.
            keep: (B, K_m) bool, false at padding.
            grid: rows and columns of patches, N in all.

        Returns:
            (B, L, D') fused tokens, (B, L) their locations and (B, L) bool, false at padding,
            with L = min(N, sum of K_m).
        """
        num_patches = grid[0] * grid[1]
        any_tokens = next(iter(tokens.values()))
        positions = sincos_positions(grid, self.embed_dims, device=any_tokens.device)
        unseen = torch.ones(
            any_tokens.shape[0], num_patches, dtype=torch.bool, device=any_tokens.device
        )
        sequence, key_masks = [], []
        for name, values in tokens.items():
            sequence.append(self.project(values) + gather_tokens(positions, locations[name]))
            key_masks.append(keep[name])
            # padding points at masked locations: writes there must not mark them as seen
            seen = torch.zeros_like(unseen).scatter_(1, locations[name], keep[name])
            unseen = unseen & ~seen
        length = min(num_patches, sum(values.shape[1] for values in tokens.values()))
        fused_locations, fused_keep = visible_indices(unseen, length)
        sequence.append(self.fusion_token + gather_tokens(positions, fused_locations))
        key_masks.append(fused_keep)
        key_mask = safe_key_mask(torch.cat(key_masks, dim=1))
        fused = self.decoder(torch.cat(sequence, dim=1), key_mask)[:, -length:]
        return fused, fused_locations, fused_keep
