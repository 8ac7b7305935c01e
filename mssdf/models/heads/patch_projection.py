"""Frozen, random projections of patches, the targets of L_disc (method.md, section 6)."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS

from ..losses.pixels import patchify


@MODELS.register_module()
class FrozenPatchProjection(BaseModule):
    """A random linear map of each modality's patches, never trained.

    Source: Latent MIM Lite (arXiv 2511.13655), method.md, section 6.

    Args:
        channels: number of bands of each modality.
        patch_size: side of a patch in pixels.
        out_dims: width of the projection.
    """

    def __init__(self, channels: dict[str, int], patch_size: int, out_dims: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.layers = nn.ModuleDict(
            {
                name: nn.Linear(patch_size**2 * bands, out_dims, bias=False)
                for name, bands in channels.items()
            }
        )
        self.requires_grad_(False)

    def init_weights(self) -> None:
        """Draw Xavier-uniform weights."""
        for layer in self.layers.values():
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)

    @torch.no_grad()
    def forward(self, name: str, image: Tensor) -> Tensor:
        """Map a normalized image (B, C, H, W) of a modality to (B, N, out_dims) float32."""
        layer = self.layers[name]
        assert isinstance(layer, nn.Linear)
        patches = patchify(image.float(), self.patch_size).flatten(2)
        return patches @ layer.weight.float().T
