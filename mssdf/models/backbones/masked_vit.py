"""The student's and the teacher's encoder: a plain ViT with fixed positions."""

from typing import Any

from torch import nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

from ..utils.positions import sincos_positions
from .token_vit import TokenVisionTransformer


@MODELS.register_module()
class MaskedVisionTransformer(TokenVisionTransformer):
    """A plain ViT with fixed 2-D sin-cos positions, which sees visible patches only.

    :meth:`encode` takes the tokens of the visible patches. Source: method.md, section 4.

    Args:
        arch: ``'deit-tiny'``, ``'deit-small'``, ``'base'``, ``'large'`` or mmpretrain's
            dictionary of widths (its own ``'small'`` is another network than the usual ViT-S).
        img_size: side of the pre-training window in pixels.
        patch_size: side of a patch in pixels.
        out_type: form of the output of ``forward``, as in mmpretrain.
        **kwargs: arguments of :class:`TokenVisionTransformer`.

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
            raise ConfigError('img_size', f'a multiple of patch_size={patch_size}', img_size)
        super().__init__(
            arch=arch, img_size=img_size, patch_size=patch_size, out_type=out_type, **kwargs
        )
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
