"""The plain ViT in three steps: embed an image, add positions, encode tokens."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.models import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor

from ..utils.attention import EncoderLayer, checkpoint_layers


class TokenVisionTransformer(VisionTransformer):
    """A ViT of mmpretrain's that takes patch tokens as well as images.

    Its parameters are, key for key, those of :class:`mmpretrain.models.VisionTransformer`, and so
    is its output for an image: a checkpoint of one loads into the other. All encoders of this
    package share its steps: :meth:`embed`, then either :meth:`add_positions` and :meth:`encode`,
    for tokens of all or some patches, or :meth:`levels`, for the outputs of several layers.

    Args:
        checkpoint_activations: whether to compute each layer again in the backward pass instead of
            keeping its activations.
        **kwargs: arguments of mmpretrain's VisionTransformer.
    """

    def __init__(self, checkpoint_activations: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for index, layer in enumerate(self.layers):
            self.layers[index] = EncoderLayer(layer)
        checkpoint_layers(self, checkpoint_activations)

    def embed(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Embed an image (B, C, H, W): patch tokens (B, N, D) without positions, and the grid."""
        return self.patch_embed(image)

    def add_positions(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Add to patch tokens (B, N, D) the positions of a grid of N patches."""
        return patches + self._positions(grid)[:, self.num_extra_tokens :]

    def encode(
        self,
        tokens: Tensor,
        key_mask: Tensor | None = None,
        average_layers: int = 1,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Run the transformer over patch tokens that carry their positions.

        Args:
            tokens: (B, K, D) tokens of all or some patches, in any order.
            key_mask: (B, K) bool, false at padding; all tokens count if None.
            average_layers: 1 returns the normed output of the last layer; k > 1 the mean over the
                last k layers' outputs, each normalized per token (data2vec, arXiv 2202.03555).
            grid: rows and columns of patches, where layers attend in windows; the tokens are then
                those of all patches, row by row.

        Returns:
            (B, E + K, D), the E extra tokens (cls) first.
        """
        num_extra, cls_token = self.num_extra_tokens, self.cls_token
        if cls_token is not None:
            cls_token = cls_token + self.pos_embed[:, :num_extra]
        tokens = self._with_extra(cls_token, tokens)
        if key_mask is not None:
            key_mask = F.pad(key_mask, (num_extra, 0), value=True)

        mean = torch.zeros_like(tokens)
        for index, output in enumerate(self._outputs(tokens, key_mask, grid)):
            if average_layers > 1 and index >= self.num_layers - average_layers:
                mean = mean + F.layer_norm(output, output.shape[-1:]) / average_layers
        return self._norm(output) if average_layers == 1 else mean

    def levels(self, patches: Tensor, grid: tuple[int, int]) -> list[Tensor]:
        """Run the transformer over all patches of images and keep several layers' outputs.

        Args:
            patches: (B, N, D) patch tokens without positions.
            grid: rows and columns of patches, N in all.

        Returns:
            (B, E + N, D) after each layer of ``out_indices``, the last layer's normed.
        """
        # one addition for all tokens, as mmpretrain's: learned positions get the same gradients
        tokens = self._with_extra(self.cls_token, patches) + self._positions(grid)
        levels = []
        for index, output in enumerate(self._outputs(tokens, None, grid)):
            if index in self.out_indices:
                levels.append(self._norm(output) if index == self.num_layers - 1 else output)
        return levels

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """Return the positions (1, E + N, D) of the extra tokens and of a grid of N patches."""
        return resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            grid,
            self.interpolate_mode,
            self.num_extra_tokens,
        )

    def _with_extra(self, extra: Tensor | None, patches: Tensor) -> Tensor:
        """Put the extra tokens (1, E, D), if there are any, in front of each image's patches."""
        if extra is None:
            return patches
        return torch.cat([extra.expand(patches.shape[0], -1, -1), patches], dim=1)

    def _outputs(
        self, tokens: Tensor, key_mask: Tensor | None, grid: tuple[int, int] | None
    ) -> Iterator[Tensor]:
        """Yield (B, E + K, D) after each layer, not normed."""
        tokens = self.pre_norm(self.drop_after_pos(tokens))
        for layer in self.layers:
            tokens = layer(tokens, key_mask, grid)
            yield tokens

    def _norm(self, tokens: Tensor) -> Tensor:
        return self.ln1(tokens) if self.final_norm else tokens

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encode images (B, C, H, W): one output per layer of ``out_indices``."""
        patches, grid = self.embed(x)
        return tuple(self._format_output(tokens, grid) for tokens in self.levels(patches, grid))
