"""The pre-trained encoder for several modalities at once, any of which may be missing."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

from .dense_vit import DenseVisionTransformer

FUSIONS = ('mean', 'linear')


@MODELS.register_module()
class MultiModalVisionTransformer(DenseVisionTransformer):
    """An encoder that takes each modality as in pre-training and fuses them per patch.

    NaN in the input is nodata, as loaders and ``NormalizeBands(keep_nodata=True)`` hand it on; it
    is read as zero. A modality that has nothing else in an image is missing there and left out of
    the fusion: the features are those of the modalities that are present. An input without NaN, as
    of an exported model or one that is called with plain tensors, has all modalities, whatever
    their values.

    Its parameters are those of the plain ViT and, under ``embedding.``, the patch embeddings of the
    other modalities, as a pre-training checkpoint holds them.

    Args:
        modalities: number of bands of each modality, in the order in which they stand in the input.
        primary: name of the modality that the plain ViT's patch embedding reads.
        embedding: config of the patch embeddings, as in pre-training.
        fusion: ``'mean'`` over the modalities present, or ``'linear'``: a linear map of them side
            by side for each output, which starts as the mean.
        modality_dropout: probability, in training, that a modality of an image is left out; one
            always stays. An augmentation of the input: it goes on with a frozen encoder.
        patch_size: side of a patch in pixels.
        **kwargs: arguments of :class:`DenseVisionTransformer`.

    Raises:
        ValueError: for an unknown primary modality or fusion.
    """

    takes_nodata = True  # NaN in the input is what an image lacks

    def __init__(
        self,
        modalities: Mapping[str, int],
        primary: str = 'rgb',
        embedding: Mapping[str, Any] | None = None,
        fusion: str = 'mean',
        modality_dropout: float = 0.0,
        patch_size: int = 16,
        **kwargs: Any,
    ) -> None:
        if primary not in modalities:
            raise ConfigError('primary', f'one of {list(modalities)}', primary)
        if fusion not in FUSIONS:
            raise ConfigError('fusion', f'one of {FUSIONS}', fusion)

        super().__init__(patch_size=patch_size, in_channels=modalities[primary], **kwargs)
        self.modalities = dict(modalities)
        self.primary = primary
        self.patch_size = patch_size
        self.modality_dropout = modality_dropout

        settings = {'type': 'mssdf.PerModalityPatchEmbedding', **(embedding or {})}
        self.embedding = MODELS.build(
            dict(
                channels=self.modalities,
                primary=primary,
                embed_dims=self.embed_dims,
                patch_size=patch_size,
                **settings,
            )
        )

        self.fusions = nn.ModuleList()
        if fusion == 'linear':
            self.fusions.extend(
                nn.Linear(len(self.modalities) * self.embed_dims, self.embed_dims)
                for _ in self.out_indices
            )
        if self.frozen_stages > 0:
            self._freeze_stages()

    def _freeze_stages(self) -> None:
        """Freeze the other modalities' patch embeddings too, once they are built."""
        super()._freeze_stages()
        if 'embedding' in self._modules:
            self.embedding.requires_grad_(False).eval()

    def init_weights(self) -> None:
        """Initialize as mmpretrain does; a linear fusion starts as the mean."""
        super().init_weights()
        for layer in self.fusions:
            assert isinstance(layer, nn.Linear)
            identity = torch.eye(self.embed_dims) / len(self.modalities)
            layer.weight.data.copy_(identity.repeat(1, len(self.modalities)))
            nn.init.zeros_(layer.bias)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return mmpretrain's depth of a parameter; the patch embeddings lie at depth 0."""
        if param_name.startswith(f'{prefix}embedding.'):
            return 0, self.num_layers + 2
        return super().get_layer_depth(param_name, prefix)

    def split(self, image: Tensor) -> dict[str, Tensor]:
        """Take the modalities of images apart, for the patch embeddings.

        Args:
            image: (B, sum of all bands, H, W) images, NaN at nodata.

        Returns:
            (B, C_m, H', W') of each modality, 0 at nodata, padded to whole patches.
        """
        image = torch.where(image.isnan(), 0.0, image)
        below, right = (-size % self.patch_size for size in image.shape[2:])
        if below or right:
            image = F.pad(image, (0, right, 0, below))
        parts = image.split(list(self.modalities.values()), dim=1)
        return dict(zip(self.modalities, parts, strict=True))

    def present(self, image: Tensor) -> Tensor:
        """Tell which modalities images have.

        Args:
            image: (B, sum of all bands, H, W) images, NaN at nodata.

        Returns:
            (B, M) float, 1 where an image has any value of the modality and training did not drop
            it.
        """
        known = (~image.isnan()).flatten(2).any(dim=2)  # (B, sum of all bands)
        bands = known.split(list(self.modalities.values()), dim=1)
        there = torch.stack([band.any(dim=1) for band in bands], dim=1)
        if self.training and self.modality_dropout:
            kept = torch.rand(there.shape, device=there.device) >= self.modality_dropout
            kept &= there
            there = torch.where(kept.any(dim=1, keepdim=True), kept, there)
        return there.float()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encode images and fuse their modalities.

        Args:
            x: (B, sum of all bands, H, W) normalized images, NaN at nodata.

        Returns:
            Fused features, one per layer of ``out_indices``.

        Raises:
            ValueError: if the images have another number of bands.
        """
        expected = sum(self.modalities.values())
        if x.shape[1] != expected:
            raise ConfigError('inputs', f'{expected} bands ({self.modalities})', x.shape[1])
        weights = self.present(x)

        parts = self.split(x)
        rows, cols = x.shape[2:]
        grid = (-(-rows // self.patch_size), -(-cols // self.patch_size))
        patches = torch.cat(
            [self.embedding(name, part, self.patch_embed) for name, part in parts.items()]
        )  # (M * B, N, D)
        levels = self.levels(patches, grid)
        fused = [self._fuse(index, tokens, weights) for index, tokens in enumerate(levels)]
        return tuple(self._format_output(tokens, grid) for tokens in fused)

    def _fuse(self, index: int, tokens: Tensor, weights: Tensor) -> Tensor:
        """Fuse tokens (M * B, L, D) by the weights (B, M) of the modalities: (B, L, D)."""
        count = len(self.modalities)
        share = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
        tokens = tokens.unflatten(0, (count, -1)) * share.T[:, :, None, None].to(tokens.dtype)
        if not len(self.fusions):
            return tokens.sum(dim=0)
        side_by_side = (tokens * count).permute(1, 2, 0, 3).flatten(2)  # (B, L, M * D)
        return self.fusions[index](side_by_side)
