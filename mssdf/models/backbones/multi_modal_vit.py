"""The pre-trained encoder with several modalities at once, any of them missing."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mssdf.registry import MODELS

from .dense_vit import DenseVisionTransformer

FUSIONS = ('mean', 'linear')


@MODELS.register_module()
class MultiModalVisionTransformer(DenseVisionTransformer):
    """Each modality through the same transformer as in pre-training, then fused per patch.

    A modality whose normalized bands are all zero in an image is missing there and left out of the
    fusion: the features are those of the modalities that are present. Its parameters are those of
    the plain ViT and, under ``embedding.``, the patch embeddings of the other modalities, as a
    pre-training checkpoint holds them.

    Args:
        modalities: bands of each modality, in the order in which they stand in the input.
        primary: the modality that the plain ViT's patch embedding reads.
        embedding: config of the patch embeddings, as in pre-training.
        fusion: ``'mean'`` over the modalities present, or ``'linear'``: a linear map of them side
            by side for each output, which starts as the mean.
        modality_dropout: probability, in training, that a modality of an image is left out; one
            always stays. An augmentation of the input: it goes on with a frozen encoder.
        patch_size: side of a patch in pixels.
        **kwargs: see :class:`DenseVisionTransformer`.

    Raises:
        ValueError: for an unknown primary modality or fusion.
    """

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
            raise ValueError(f'primary: expected one of {list(modalities)}, found {primary!r}')
        if fusion not in FUSIONS:
            raise ValueError(f'fusion: expected one of {FUSIONS}, found {fusion!r}')
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
        """As mmpretrain's; a linear fusion starts as the mean."""
        super().init_weights()
        for layer in self.fusions:
            assert isinstance(layer, nn.Linear)
            identity = torch.eye(self.embed_dims) / len(self.modalities)
            layer.weight.data.copy_(identity.repeat(1, len(self.modalities)))
            nn.init.zeros_(layer.bias)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """As mmpretrain's; the patch embeddings lie at depth 0."""
        if param_name.startswith(f'{prefix}embedding.'):
            return 0, self.num_layers + 2
        return super().get_layer_depth(param_name, prefix)

    def split(self, image: Tensor) -> dict[str, Tensor]:
        """Take the modalities of (B, C, H, W) apart, padded to whole patches.

        Raises:
            ValueError: if the image has another number of bands.
        """
        expected = sum(self.modalities.values())
        if image.shape[1] != expected:
            raise ValueError(
                f'inputs: expected {expected} bands ({self.modalities}), found {image.shape[1]}'
            )
        below, right = (-size % self.patch_size for size in image.shape[2:])
        if below or right:
            image = F.pad(image, (0, right, 0, below))
        parts = image.split(list(self.modalities.values()), dim=1)
        return dict(zip(self.modalities, parts, strict=True))

    def present(self, parts: Mapping[str, Tensor]) -> Tensor:
        """(B, M) float: 1 where an image has the modality (and training did not drop it)."""
        there = torch.stack([(part != 0).flatten(1).any(dim=1) for part in parts.values()], dim=1)
        if self.training and self.modality_dropout:
            kept = torch.rand(there.shape, device=there.device) >= self.modality_dropout
            kept &= there
            there = torch.where(kept.any(dim=1, keepdim=True), kept, there)
        return there.float()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Fused features of images (B, sum of all bands, H, W), one per layer of out_indices."""
        parts = self.split(x)
        rows, cols = x.shape[2:]
        grid = (-(-rows // self.patch_size), -(-cols // self.patch_size))
        patches = torch.cat(
            [self.embedding(name, part, self.patch_embed) for name, part in parts.items()]
        )  # (M * B, N, D)
        weights = self.present(parts)
        levels = self.levels(patches, grid)
        fused = [self._fuse(index, tokens, weights) for index, tokens in enumerate(levels)]
        return tuple(self._format_output(tokens, grid) for tokens in fused)

    def _fuse(self, index: int, tokens: Tensor, weights: Tensor) -> Tensor:
        """(M * B, L, D) tokens and (B, M) weights to (B, L, D)."""
        count = len(self.modalities)
        share = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
        tokens = tokens.unflatten(0, (count, -1)) * share.T[:, :, None, None].to(tokens.dtype)
        if not len(self.fusions):
            return tokens.sum(dim=0)
        side_by_side = (tokens * count).permute(1, 2, 0, 3).flatten(2)  # (B, L, M * D)
        return self.fusions[index](side_by_side)
