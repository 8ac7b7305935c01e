"""Modality decoder: fused tokens into one token per patch of each modality."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS

from ..utils.positions import gather_tokens, sincos_positions
from .decoder_layers import DecoderLayers


@MODELS.register_module()
class ModalityDecoder(BaseModule):
    """One decoder for all modalities; a mask token says which one is asked for.

    Source: method.md, section 4.

    Args:
        modalities: names, in the order of the mask tokens.
        embed_dims: width of the decoder.
        num_layers: number of transformer layers.
        num_heads: attention heads of each.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        embed_dims: int = 384,
        num_layers: int = 4,
        num_heads: int = 6,
    ) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        self.embed_dims = embed_dims
        self.mask_tokens = nn.Parameter(torch.zeros(len(self.modalities), 1, embed_dims))
        self.decoder = DecoderLayers(embed_dims, num_layers, num_heads)

    def init_weights(self) -> None:
        """Initialise as MAE does its decoder."""
        nn.init.normal_(self.mask_tokens, std=0.02)
        self.decoder.init_weights()

    def forward(
        self, fused: Tensor, locations: Tensor, keep: Tensor, grid: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Decode all modalities in one batch.

        Args:
            fused: (B, L, D) fused tokens.
            locations: (B, L) their locations.
            keep: (B, L) bool, false at padding.
            grid: rows and columns of patches, N in all.

        Returns:
            (B, N, D) tokens of each modality.
        """
        batch, num_patches, count = len(fused), grid[0] * grid[1], len(self.modalities)
        positions = sincos_positions(grid, self.embed_dims, device=fused.device)
        context = fused + gather_tokens(positions, locations)
        queries = self.mask_tokens + positions  # (M, N, D)
        sequence = torch.cat(
            [
                context.repeat(count, 1, 1),
                queries.repeat_interleave(batch, dim=0).to(context.dtype),
            ],
            dim=1,
        )  # (M * B, L + N, D)
        key_mask = torch.cat([keep, keep.new_ones(batch, num_patches)], dim=1).repeat(count, 1)
        decoded = self.decoder(sequence, key_mask)[:, -num_patches:]
        return dict(zip(self.modalities, decoded.chunk(count), strict=True))
