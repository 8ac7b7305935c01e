"""The plain ViT for dense work: feature maps of large images, bounded in memory."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mssdf.registry import MODELS

from ..utils.window_attention import windowed_layer


@MODELS.register_module()
class DenseVisionTransformer(VisionTransformer):
    """mmpretrain's ViT with windowed attention and activation checkpointing, both optional.

    Its parameters are, key for key, those of :class:`mmpretrain.models.VisionTransformer`;
    without windows and checkpointing so is its output.

    Args:
        arch: see mmpretrain's VisionTransformer.
        img_size: the usual size in pixels; positions are interpolated to any other.
        patch_size: side of a patch in pixels.
        window_size: side, in patches, of the windows that attention stays in; 0: the whole image.
        global_blocks: layers that attend to the whole image in spite of ``window_size``; the last
            of each quarter if None (ViTDet, arXiv 2203.16527).
        checkpoint_activations: recompute each layer in the backward pass instead of keeping its
            activations.
        out_type: as in mmpretrain; ``'featmap'`` gives (B, D, H / patch_size, W / patch_size).
        **kwargs: passed on (``out_indices``, ``drop_path_rate``, ``frozen_stages``, ...). Frozen
            stages neither learn nor drop anything.

    Raises:
        ValueError: if ``window_size`` is negative or ``global_blocks`` names no layer.
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 512,
        patch_size: int = 16,
        window_size: int = 0,
        global_blocks: Sequence[int] | None = None,
        checkpoint_activations: bool = False,
        out_type: str = 'featmap',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arch=arch, img_size=img_size, patch_size=patch_size, out_type=out_type, **kwargs
        )
        if window_size < 0:
            raise ValueError(f'window_size: expected 0 or more patches, found {window_size}')
        quarters = [-(-i * self.num_layers // 4) - 1 for i in range(1, 5)]
        self.global_blocks = tuple(quarters if global_blocks is None else global_blocks)
        unknown = [i for i in self.global_blocks if not 0 <= i < self.num_layers]
        if unknown:
            raise ValueError(
                f'global_blocks: expected layers from 0 to {self.num_layers - 1}, found {unknown}'
            )
        self.window_size = window_size
        self.checkpoint_activations = checkpoint_activations

    def train(self, mode: bool = True) -> 'DenseVisionTransformer':
        """Switch to training or evaluation; frozen stages stay in evaluation.

        mmpretrain's ViT switches their dropout and stochastic depth on again.
        """
        super().train(mode)  # mmpretrain's returns None
        if self.frozen_stages > 0:
            self._freeze_stages()
        return self

    def embed(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Embed an image (B, C, H, W): patch tokens (B, N, D) without positions, and the grid."""
        return self.patch_embed(image)

    def encode(self, patches: Tensor, grid: tuple[int, int]) -> list[Tensor]:
        """Run the transformer over patch tokens.

        Args:
            patches: (B, N, D) without positions.
            grid: rows and columns of patches.

        Returns:
            Tokens (B, E + N, D) after each layer of ``out_indices``, the last one normalized.
        """
        tokens = patches
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        tokens = tokens + resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            grid,
            self.interpolate_mode,
            self.num_extra_tokens,
        )
        tokens = self.pre_norm(self.drop_after_pos(tokens))
        outputs = []
        for index in range(self.num_layers):
            if self.checkpoint_activations and self.training and torch.is_grad_enabled():
                tokens = checkpoint(self._layer, index, tokens, grid, use_reentrant=False)
            else:
                tokens = self._layer(index, tokens, grid)
            if index == self.num_layers - 1 and self.final_norm:
                tokens = self.ln1(tokens)
            if index in self.out_indices:
                outputs.append(tokens)
        return outputs

    def _layer(self, index: int, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        layer = self.layers[index]
        if not self.window_size or index in self.global_blocks:
            return layer(tokens)
        return windowed_layer(layer, tokens, grid, self.window_size, self.num_extra_tokens)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of images (B, C, H, W), one per layer of ``out_indices``."""
        patches, grid = self.embed(x)
        return tuple(self._format_output(tokens, grid) for tokens in self.encode(patches, grid))
