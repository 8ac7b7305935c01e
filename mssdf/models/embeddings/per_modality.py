"""A patch embedding per modality, of its native bands; a DSM is one channel of heights."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.registry import MODELS


@MODELS.register_module()
class PerModalityPatchEmbedding(BaseModule):
    """A convolution for every modality but the primary one, which has the backbone's own.

    Source: method.md, section 1.

    Args:
        channels: number of bands of each modality.
        primary: name of the modality that the backbone's patch embedding reads.
        embed_dims: width D of the encoder.
        patch_size: side of a patch in pixels.
    """

    def __init__(
        self, channels: dict[str, int], primary: str, embed_dims: int, patch_size: int
    ) -> None:
        super().__init__()
        self.primary = primary
        self.projections = nn.ModuleDict(
            {
                name: nn.Conv2d(bands, embed_dims, patch_size, patch_size)
                for name, bands in channels.items()
                if name != primary
            }
        )

    def init_weights(self) -> None:
        """Initialize each convolution as the linear layer over a patch that it is."""
        for projection in self.projections.values():
            assert isinstance(projection, nn.Conv2d) and projection.bias is not None
            nn.init.xavier_uniform_(projection.weight.flatten(1))
            nn.init.zeros_(projection.bias)

    def forward(self, modality: str, image: Tensor, patch_embed: nn.Module) -> Tensor:
        """Embed one modality.

        Args:
            modality: name of the modality.
            image: (B, C, H, W) images of it, normalized.
            patch_embed: patch embedding of the backbone.

        Returns:
            (B, N, D) patch tokens without positions.
        """
        if modality == self.primary:
            return patch_embed(image)[0]
        return self.projections[modality](image).flatten(2).transpose(1, 2)
