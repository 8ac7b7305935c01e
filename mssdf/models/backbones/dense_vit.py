"""The plain ViT for dense work: feature maps of large images, bounded in memory."""

from collections.abc import Sequence
from typing import Any

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

from .token_vit import TokenVisionTransformer


@MODELS.register_module()
class DenseVisionTransformer(TokenVisionTransformer):
    """A plain ViT with attention in windows, and stages that stay frozen.

    Without windows its output is that of :class:`mmpretrain.models.VisionTransformer`.

    Args:
        arch: architecture, as in mmpretrain's VisionTransformer.
        img_size: usual size in pixels; positions are interpolated to any other.
        patch_size: side of a patch in pixels.
        window_size: side, in patches, of the windows that attention stays in; 0: the whole image.
        global_blocks: layers that attend to the whole image in spite of ``window_size``; the last
            of each quarter if None (ViTDet, arXiv 2203.16527).
        out_type: form of the output, as in mmpretrain; ``'featmap'`` gives
            (B, D, H / patch_size, W / patch_size).
        frozen: whether the whole encoder stays as it is, however many layers it has.
        **kwargs: arguments of :class:`TokenVisionTransformer` (``checkpoint_activations``) and of
            mmpretrain's VisionTransformer (``out_indices``, ``drop_path_rate``,
            ``frozen_stages``). Frozen stages neither learn nor drop anything.

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
        out_type: str = 'featmap',
        frozen: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arch=arch, img_size=img_size, patch_size=patch_size, out_type=out_type, **kwargs
        )
        if window_size < 0:
            raise ConfigError('window_size', '0 or more patches', window_size)

        quarters = [-(-i * self.num_layers // 4) - 1 for i in range(1, 5)]
        self.global_blocks = tuple(quarters if global_blocks is None else global_blocks)
        unknown = [i for i in self.global_blocks if not 0 <= i < self.num_layers]
        if unknown:
            raise ConfigError('global_blocks', f'layers from 0 to {self.num_layers - 1}', unknown)

        self.window_size = window_size
        for index, layer in enumerate(self.layers):
            layer.window_size = 0 if index in self.global_blocks else window_size

        if frozen:
            self.frozen_stages = self.num_layers
            self._freeze_stages()

    def train(self, mode: bool = True) -> 'DenseVisionTransformer':
        """Switch to training or evaluation; frozen stages stay in evaluation.

        mmpretrain's ViT switches their dropout and stochastic depth on again.
        """
        super().train(mode)  # mmpretrain's returns None
        if self.frozen_stages > 0:
            self._freeze_stages()
        return self
