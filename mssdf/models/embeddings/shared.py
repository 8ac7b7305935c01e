"""A patch embedding that all modalities share, each rendered to three channels."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS


@MODELS.register_module()
class SharedPatchEmbedding(BaseModule):
    """A rendering of every modality to as many channels as the primary one has.

    A modality with the primary's channels stays as it is, a single band is repeated as gray, and
    more bands pass through a fixed composite or a learned 1 x 1 projection.
    Source: method.md, section 1.

    Args:
        channels: number of bands of each modality.
        primary: name of the modality that the backbone's patch embedding reads.
        embed_dims: width of the encoder; without effect here, as every patch embedding is given
            the same arguments.
        patch_size: side of a patch in pixels; without effect here.
        composites: bands (from 0) that stand for the primary's channels, by modality; a modality
            without an entry gets a learned projection.

    Raises:
        ValueError: if a composite has a wrong length or names a band that does not exist.
    """

    def __init__(
        self,
        channels: dict[str, int],
        primary: str,
        embed_dims: int | None = None,
        patch_size: int | None = None,
        composites: dict[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        composites = dict(composites or {})

        self.channels = dict(channels)
        self.width = channels[primary]
        self.composites = {name: list(bands) for name, bands in composites.items()}
        for name, bands in self.composites.items():
            available = channels.get(name, 0)
            if len(bands) != self.width or not all(0 <= band < available for band in bands):
                raise ConfigError(
                    f'composites[{name!r}]', f'{self.width} bands within 0...{available - 1}', bands
                )

        self.projections = nn.ModuleDict(
            {
                name: nn.Conv2d(bands, self.width, 1)
                for name, bands in channels.items()
                if bands not in (1, self.width) and name not in composites
            }
        )

    def render(self, modality: str, image: Tensor) -> Tensor:
        """Render images (B, C, H, W) of a modality to the primary one's channels (B, 3, H, W)."""
        if modality in self.projections:
            return self.projections[modality](image)
        if modality in self.composites:
            return torch.cat([image[:, band, None] for band in self.composites[modality]], dim=1)
        return image.expand(-1, self.width, -1, -1)

    def forward(self, modality: str, image: Tensor, patch_embed: nn.Module) -> Tensor:
        """Embed one modality.

        Args:
            modality: name of the modality.
            image: (B, C, H, W) images of it, normalized.
            patch_embed: patch embedding of the backbone.

        Returns:
            (B, N, D) patch tokens without positions.
        """
        return patch_embed(self.render(modality, image))[0]
