"""The student's and the teacher's encoder: a plain ViT that can also see visible patches only."""

from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.models import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from mssdf.registry import MODELS

from ..utils.attention import take_key_masks
from ..utils.positions import sincos_positions


@MODELS.register_module()
class MaskedVisionTransformer(VisionTransformer):
    """mmpretrain's ViT with fixed 2-D sin-cos positions and an entry for patch tokens.

    Its parameters are, key for key, those of
    :class:`mmpretrain.models.VisionTransformer`, and so is ``forward``: a checkpoint of one loads
    into the other. Source: method.md, section 4.

    Args:
        arch: ``'deit-tiny'``, ``'deit-small'``, ``'base'``, ``'large'`` or mmpretrain's
            dictionary of widths (its own ``'small'`` is another network than the usual ViT-S).
        img_size: side of the pre-training window in pixels.
        patch_size: side of a patch in pixels.
        out_type: what ``forward`` returns, as in mmpretrain.
        **kwargs: passed on to mmpretrain's VisionTransformer.

    Raises:
        ValueError: if patches do not divide the window.
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int = 320,
        patch_size: int = 16,
        out_type: str = 'raw',
        **kwargs: Any,
    ) -> None:
        if img_size < patch_size or img_size % patch_size:
            raise ValueError(
                f'img_size: expected a multiple of patch_size={patch_size}, found {img_size}'
            )
        super().__init__(
            arch=arch, img_size=img_size, patch_size=patch_size, out_type=out_type, **kwargs
        )
        take_key_masks(self.layers)
        self.patch_size = patch_size
        self.pos_embed.requires_grad_(False)
        self._reset_positions()

    def _reset_positions(self) -> None:
        positions = sincos_positions(self.patch_resolution, self.embed_dims, cls_token=True)
        self.pos_embed.data.copy_(positions)

    def init_weights(self) -> None:
        """Initialize as MAE does, or from ``init_cfg`` if it names a checkpoint."""
        super().init_weights()
        if isinstance(self.init_cfg, dict) and 'checkpoint' in self.init_cfg:
            return
        self._reset_positions()
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.xavier_uniform_(self.patch_embed.projection.weight.flatten(1))
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def add_positions(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Add to patch tokens (B, N, D) the positions of a grid of N patches."""
        positions = resize_pos_embed(
            self.pos_embed, self.patch_resolution, grid, self.interpolate_mode, 1
        )
        return tokens + positions[:, 1:]

    def encode(
        self, tokens: Tensor, key_mask: Tensor | None = None, average_layers: int = 1
    ) -> Tensor:
        """Run the transformer over patch tokens that carry their positions.

        Args:
            tokens: (B, K, D).
            key_mask: (B, K) bool, false at padding; all tokens count if None.
            average_layers: 1 returns the normed output of the last layer; k > 1 the mean over the
                last k layers' outputs, each normalized per token (data2vec, arXiv 2202.03555).

        Returns:
            (B, 1 + K, D), the cls token first.
        """
        cls_token = self.cls_token + self.pos_embed[:, :1]
        tokens = torch.cat([cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        tokens = self.pre_norm(self.drop_after_pos(tokens))
        if key_mask is not None:
            key_mask = F.pad(key_mask, (1, 0), value=True)
        mean = torch.zeros_like(tokens)
        for index, layer in enumerate(self.layers):
            tokens = layer(tokens, key_mask)
            if average_layers > 1 and index >= len(self.layers) - average_layers:
                mean = mean + F.layer_norm(tokens, tokens.shape[-1:]) / average_layers
        return self.ln1(tokens) if average_layers == 1 else mean
