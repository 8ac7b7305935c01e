"""The fusion decoder, from visible tokens of all modalities to one set of fused tokens."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS

from ..utils.attention import safe_key_mask
from ..utils.positions import gather_tokens, sincos_positions, visible_indices
from .decoder_layers import DecoderLayers


def mean_at_locations(
    tokens: dict[str, Tensor],
    locations: dict[str, Tensor],
    keep: dict[str, Tensor],
    num_patches: int,
) -> Tensor:
    """Average the tokens that the modalities have at each location.

    Args:
        tokens: (B, K_m, D) tokens of each modality.
        locations: (B, K_m) locations of these tokens in the grid.
        keep: (B, K_m) bool, false at padding.
        num_patches: number N of locations.

    Returns:
        (B, N, D), 0 where no modality has a token.
    """
    any_tokens = next(iter(tokens.values()))
    total = any_tokens.new_zeros(len(any_tokens), num_patches, any_tokens.shape[-1])
    count = any_tokens.new_zeros(len(any_tokens), num_patches, 1)

    for name, values in tokens.items():
        index = locations[name].unsqueeze(-1)
        weight = keep[name].unsqueeze(-1).to(values.dtype)
        # selected, not multiplied: padding may hold anything
        kept = torch.where(weight > 0, values, 0.0)
        total = total.scatter_add(1, index.expand_as(values), kept)
        count = count.scatter_add(1, index, weight)

    return total / count.clamp(min=1)


@MODELS.register_module()
class FusionDecoder(BaseModule):
    """A decoder to one fused token for each location visible in at least one modality.

    The number of fused locations differs from sample to sample; sequences have a common length
    and padding is hidden by key masks. Source: method.md, section 4.

    Args:
        in_dims: width D of the encoder.
        embed_dims: width D' of the decoder.
        num_layers: number of transformer layers.
        num_heads: number of attention heads of each layer.
        filled: whether to start each fused token from the mean of the visible tokens at its
            location and leave these out of the sequence, which is then at most half as long. The
            paper's fused tokens all start alike and gather everything by attention.
    """

    def __init__(
        self,
        in_dims: int = 768,
        embed_dims: int = 384,
        num_layers: int = 3,
        num_heads: int = 6,
        filled: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.filled = filled
        self.project = nn.Linear(in_dims, embed_dims, bias=False)
        self.fusion_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.decoder = DecoderLayers(embed_dims, num_layers, num_heads)

    def init_weights(self) -> None:
        """Initialize as MAE does its decoder."""
        nn.init.normal_(self.fusion_token, std=0.02)
        nn.init.xavier_uniform_(self.project.weight)
        self.decoder.init_weights()

    def forward(
        self,
        tokens: dict[str, Tensor],
        locations: dict[str, Tensor],
        keep: dict[str, Tensor],
        grid: tuple[int, int],
        length: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse the visible tokens of all modalities.

        Args:
            tokens: (B, K_m, D) visible tokens of each modality, cls token added.
            locations: (B, K_m) locations of these tokens in the grid.
            keep: (B, K_m) bool, false at padding.
            grid: rows and columns of patches, N in all.
            length: largest number L of locations that a window has visible in some modality;
                min(N, sum of K_m) if None.

        Returns:
            (B, L, D') fused tokens, (B, L) their locations and (B, L) bool, false at padding.
        """
        num_patches = grid[0] * grid[1]
        batch, device = len(next(iter(tokens.values()))), next(iter(tokens.values())).device
        positions = sincos_positions(grid, self.embed_dims, device=device)
        projected = {name: self.project(values) for name, values in tokens.items()}

        # padding points at masked locations: it must not mark them as seen
        unseen = torch.ones(batch, num_patches, dtype=torch.bool, device=device)
        for name, where in locations.items():
            unseen = unseen & ~torch.zeros_like(unseen).scatter_(1, where, keep[name])
        if length is None:
            length = min(num_patches, sum(values.shape[1] for values in tokens.values()))
        fused_locations, fused_keep = visible_indices(unseen, length)
        fused = self.fusion_token + gather_tokens(positions, fused_locations)

        if self.filled:
            content = mean_at_locations(projected, locations, keep, num_patches)
            sequence = [fused + gather_tokens(content, fused_locations)]
            key_masks = [fused_keep]
        else:
            sequence = [
                values + gather_tokens(positions, locations[name])
                for name, values in projected.items()
            ]
            sequence.append(fused)
            key_masks = [*(keep[name] for name in projected), fused_keep]

        key_mask = safe_key_mask(torch.cat(key_masks, dim=1))
        decoded = self.decoder(torch.cat(sequence, dim=1), key_mask)[:, -length:]
        return decoded, fused_locations, fused_keep
