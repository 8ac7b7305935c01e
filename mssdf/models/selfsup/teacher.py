"""The teacher: a moving average of the student's encoder (method.md, section 5)."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from ..backbones.masked_vit import MaskedVisionTransformer
from ..losses import normalize_targets
from ..utils.ema import update_ema


def encode_windows(
    backbone: MaskedVisionTransformer,
    embedding: nn.Module,
    images: dict[str, Tensor],
    patch_valid: dict[str, Tensor],
    grid: tuple[int, int],
    average_layers: int = 1,
) -> dict[str, Tensor]:
    """Encode whole, unmasked windows, each modality by itself.

    Args:
        backbone: encoder.
        embedding: patch embeddings of the other modalities.
        images: (B, C_m, H, W) of each modality, normalized.
        patch_valid: (B, N) bool; patches without data are not attended to.
        grid: rows and columns of patches.
        average_layers: see :meth:`~mssdf.models.MaskedVisionTransformer.encode`.

    Returns:
        (B, N, D) patch tokens of each modality.
    """
    names = list(images)
    tokens = torch.cat(
        [embedding(name, image, backbone.patch_embed) for name, image in images.items()]
    )  # (M * B, N, D)
    key_mask = torch.cat([patch_valid[name] for name in names])
    encoded = backbone.encode(backbone.add_positions(tokens, grid), key_mask, average_layers)
    return dict(zip(names, encoded[:, 1:].chunk(len(names)), strict=True))


MOMENTUM = 0.996  # where no schedule moves it


class EMATeacher(nn.Module):
    """Patch embedding and encoder without gradient, always in eval mode.

    Not a ``BaseModule``: it has no weights of its own to initialize.

    Args:
        backbone: the student's encoder, copied.
        embedding: the student's patch embeddings, copied.
        target_norm: see :func:`~mssdf.models.losses.normalize_targets`.
        average_layers: number of last layers whose mean is the target.
    """

    def __init__(
        self,
        backbone: MaskedVisionTransformer,
        embedding: nn.Module,
        target_norm: str | None = 'token',
        average_layers: int = 1,
    ) -> None:
        super().__init__()
        if target_norm not in ('token', 'batch', None):
            raise ValueError(
                f"teacher.target_norm must be 'token', 'batch' or None, found {target_norm!r}"
            )
        if not 1 <= average_layers <= backbone.num_layers:
            raise ValueError(
                f'teacher.average_layers must be within 1...{backbone.num_layers}, '
                f'found {average_layers}'
            )
        self.backbone = deepcopy(backbone)
        self.embedding = deepcopy(embedding)
        self.target_norm = target_norm
        self.average_layers = average_layers
        self.momentum = MOMENTUM
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> 'EMATeacher':
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def copy_from(self, backbone: nn.Module, embedding: nn.Module) -> None:
        """Take over the student's weights."""
        self.backbone.load_state_dict(backbone.state_dict())
        self.embedding.load_state_dict(embedding.state_dict())

    def update(
        self, backbone: nn.Module, embedding: nn.Module, momentum: float | None = None
    ) -> None:
        """Move towards the student by 1 - momentum.

        Args:
            backbone: the student's encoder.
            embedding: the student's patch embeddings.
            momentum: momentum of this step; None takes ``self.momentum``.
        """
        momentum = self.momentum if momentum is None else momentum
        update_ema(self.backbone.parameters(), backbone.parameters(), momentum)
        update_ema(self.embedding.parameters(), embedding.parameters(), momentum)

    @torch.no_grad()
    def forward(
        self,
        images: dict[str, Tensor],
        patch_valid: dict[str, Tensor],
        grid: tuple[int, int],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See whole, unmasked windows.

        Args:
            images: (B, C_m, H, W) of each modality, normalized.
            patch_valid: (B, N) bool; patches without data are not attended to.
            grid: rows and columns of patches.

        Returns:
            Targets and features before normalization, each (B, N, D) per modality.
        """
        features = encode_windows(
            self.backbone, self.embedding, images, patch_valid, grid, self.average_layers
        )
        targets = {
            name: normalize_targets(feature, patch_valid[name], self.target_norm)
            for name, feature in features.items()
        }
        return targets, features
