"""Frozen encoders: plain ViTs, and backbones with feature maps."""

import torch
from torch import Tensor, nn

from mssdf.models.backbones import DenseVisionTransformer
from mssdf.models.data_preprocessors import MultiModalDataPreprocessor

from .featurizer import PRIMARY, Tokens


class FrozenViT:
    """A frozen plain ViT with the patch embeddings of further modalities.

    Args:
        vit: transformer with the primary modality's patch embedding.
        embedding: patch embeddings of all modalities; None if there is only the primary one.
        preprocessor: data preprocessor with the normalization of each modality that has an input.
        normalization: description of the source of mean and deviation.
    """

    metric = 'cosine'

    def __init__(
        self,
        vit: DenseVisionTransformer,
        embedding: nn.Module | None,
        preprocessor: MultiModalDataPreprocessor,
        normalization: str,
    ) -> None:
        self.vit, self.embedding = vit, embedding
        for module in (vit, embedding):
            if module is not None:
                module.eval()  # mmpretrain's returns None
                module.requires_grad_(False)
        self.preprocessor = preprocessor
        self.normalization = normalization

    def to(self, device: str) -> 'FrozenViT':
        """Move to a device."""
        for module in (self.vit, self.embedding, self.preprocessor):
            if module is not None:
                module.to(device)
        return self

    def patch_size(self, size: int) -> int:
        """Return the side of a patch in pixels."""
        return int(self.vit.patch_embed.projection.kernel_size[0])

    def takes(self, modality: str) -> bool:
        """Tell whether it has a patch embedding and a normalization for a modality."""
        known = modality in self.preprocessor.modalities
        return known and (modality == PRIMARY or self.embedding is not None)

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Compute the features of a batch; see :class:`Featurizer`."""
        image = self.preprocessor.normalize(modality, values, valid)
        patch = self.patch_size(image.shape[-1])
        if image.shape[-1] % patch:
            raise ValueError(
                f'img_size: expected a multiple of the patch size {patch}, found {image.shape[-1]}'
            )
        if modality == PRIMARY:
            patches = self.vit.embed(image)[0]
        else:
            assert self.embedding is not None
            patches = self.embedding(modality, image, self.vit.patch_embed)
        side = image.shape[-1] // patch
        tokens = self.vit.encode(self.vit.add_positions(patches, (side, side)))  # (B, E + N, D)
        extra = self.vit.num_extra_tokens
        pooled = dict(mean=tokens[:, extra:].mean(dim=1))
        if extra:
            pooled = dict(cls=tokens[:, 0]) | pooled
        return Tokens(pooled, tokens[:, extra:])


class FrozenMaps:
    """A frozen backbone of mmpretrain with feature maps, whose patches are the last map's places.

    Args:
        backbone: backbone with feature maps.
        preprocessor: data preprocessor with the normalization of the colors.
        normalization: description of the source of mean and deviation.
    """

    metric = 'cosine'

    def __init__(
        self, backbone: nn.Module, preprocessor: MultiModalDataPreprocessor, normalization: str
    ) -> None:
        backbone.eval()  # mmpretrain's returns None
        self.backbone = backbone.requires_grad_(False)
        self.preprocessor = preprocessor
        self.normalization = normalization
        self._patches: dict[int, int] = {}

    def to(self, device: str) -> 'FrozenMaps':
        """Move to a device."""
        self.backbone.to(device)
        self.preprocessor.to(device)
        return self

    def patch_size(self, size: int) -> int:
        """Return the number of pixels along one place of the last map."""
        if size not in self._patches:
            device = next(self.backbone.parameters()).device
            image = torch.zeros(1, 3, size, size, device=device)
            self._patches[size] = size // self._last(image).shape[-1]
        return self._patches[size]

    def takes(self, modality: str) -> bool:
        """Return true for the colors alone."""
        return modality == PRIMARY

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Compute the features of a batch; see :class:`Featurizer`."""
        maps = self._last(self.preprocessor.normalize(modality, values, valid))
        patches = maps.flatten(2).transpose(1, 2)
        return Tokens(dict(mean=patches.mean(dim=1)), patches)

    @torch.no_grad()
    def _last(self, image: Tensor) -> Tensor:
        maps = self.backbone(image)[-1]
        if not isinstance(maps, Tensor) or maps.ndim != 4:
            raise ValueError(
                f'backbone: expected feature maps (B, D, h, w) of {type(self.backbone).__name__}, '
                f'found {type(maps).__name__} {tuple(getattr(maps, "shape", ()))}'
            )
        return maps
