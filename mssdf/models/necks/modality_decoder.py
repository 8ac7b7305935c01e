"""The modality decoder, from fused tokens to one token per patch of each modality."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

from ..utils.attention import safe_key_mask
from ..utils.positions import gather_tokens, sincos_positions
from .decoder_layers import DecoderLayers

QUERIES = ('all', 'hidden')


@MODELS.register_module()
class ModalityDecoder(BaseModule):
    """A decoder for all modalities, whose mask tokens say which one is asked for.

    Source: method.md, section 4.

    Args:
        modalities: names of the modalities, in the order of the mask tokens.
        embed_dims: width D of the decoder.
        num_layers: number of transformer layers.
        num_heads: number of attention heads of each layer.
        queries: ``'all'`` decodes every location, as the paper; ``'hidden'`` only those whose
            patch is hidden, which costs less.
        joint: whether to decode each location once, with one mask token, for all modalities. Then
            only L_pix, whose head has a layer for each modality, can tell them apart. Else each
            modality has a sequence of its own, as in the paper.

    Raises:
        ValueError: if ``queries`` is neither.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        embed_dims: int = 384,
        num_layers: int = 4,
        num_heads: int = 6,
        queries: str = 'all',
        joint: bool = False,
    ) -> None:
        super().__init__()
        if queries not in QUERIES:
            raise ConfigError('modality_decoder.queries', f'one of {QUERIES}', queries)
        self.queries = queries
        self.joint = joint
        self.modalities = tuple(modalities)
        self.embed_dims = embed_dims
        self.mask_tokens = nn.Parameter(
            torch.zeros(1 if joint else len(self.modalities), 1, embed_dims)
        )
        self.decoder = DecoderLayers(embed_dims, num_layers, num_heads)

    def init_weights(self) -> None:
        """Initialize as MAE does its decoder."""
        nn.init.normal_(self.mask_tokens, std=0.02)
        self.decoder.init_weights()

    def forward(
        self,
        fused: Tensor,
        locations: Tensor,
        keep: Tensor,
        grid: tuple[int, int],
        queries: dict[str, tuple[Tensor, Tensor]] | None = None,
        summary: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Decode all modalities in one batch.

        Args:
            fused: (B, L, D) fused tokens.
            locations: (B, L) locations of the fused tokens in the grid.
            keep: (B, L) bool, false at padding.
            grid: rows and columns of patches, N in all.
            queries: (B, Q) locations to decode of each modality and (B, Q) bool, false at
                padding; Q is the same for all modalities, and so are the locations if ``joint``.
                All N locations if None.
            summary: (B, S, D) tokens without a location, which all queries see, and (B, S) bool,
                false where a window lacks one.

        Returns:
            (B, Q, D) tokens of each modality.
        """
        names = self.modalities[:1] if self.joint else self.modalities
        batch, num_patches, count = len(fused), grid[0] * grid[1], len(names)
        positions = sincos_positions(grid, self.embed_dims, device=fused.device)
        context = fused + gather_tokens(positions, locations)
        if summary is not None:
            context = torch.cat([summary[0].to(context.dtype), context], dim=1)
            keep = torch.cat([summary[1], keep], dim=1)

        if queries is None:
            asked = (self.mask_tokens + positions).repeat_interleave(batch, dim=0)  # (M * B, N, D)
            asked_keep = keep.new_ones(count * batch, num_patches)
        else:
            where = torch.cat([queries[name][0] for name in names])  # (M * B, Q)
            asked = self.mask_tokens.repeat_interleave(batch, dim=0)
            asked = asked + gather_tokens(positions, where)
            asked_keep = torch.cat([queries[name][1] for name in names])

        # all modalities in one batch: each query sees its own window's context alone
        sequence = torch.cat([context.repeat(count, 1, 1), asked.to(context.dtype)], dim=1)
        key_mask = safe_key_mask(torch.cat([keep.repeat(count, 1), asked_keep], dim=1))
        decoded = self.decoder(sequence, key_mask)[:, context.shape[1] :]

        if self.joint:
            return dict.fromkeys(self.modalities, decoded)
        return dict(zip(self.modalities, decoded.chunk(count), strict=True))
