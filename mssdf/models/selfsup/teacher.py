"""The teacher: a moving average of the student's encoder (method.md, section 5)."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mssdf.errors import ConfigError
from mssdf.utils.options import check_choice

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
        images: normalized images (B, C_m, H, W) of each modality.
        patch_valid: mask (B, N) of each modality; patches without data are not attended to.
        grid: rows and columns of patches.
        average_layers: number of last layers whose mean is returned, see
            :meth:`~mssdf.models.MaskedVisionTransformer.encode`.

    Returns:
        Patch tokens (B, N, D) of each modality.
    """
    names = list(images)
    tokens = torch.cat(
        [embedding(name, image, backbone.patch_embed) for name, image in images.items()]
    )  # (M * B, N, D)
    key_mask = torch.cat([patch_valid[name] for name in names])
    encoded = backbone.encode(backbone.add_positions(tokens, grid), key_mask, average_layers)
    return dict(zip(names, encoded[:, 1:].chunk(len(names)), strict=True))


MOMENTUM = 0.996  # where no schedule moves it
NORMS = ('token', 'batch', None)


@dataclass(frozen=True)
class TeacherOptions:
    """Options of the teacher.

    Attributes:
        target_norm: normalization of the targets, see
            :func:`~mssdf.models.losses.normalize_targets`.
        average_layers: number of last layers whose mean is the target.
        checkpoint: file from which the student and the teacher both start: the encoder, and each
            patch embedding that the file has.

    Raises:
        ValueError: for another normalization.
    """

    target_norm: str | None = 'token'
    average_layers: int = 1
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        check_choice('teacher.target_norm', self.target_norm, NORMS)


class EMATeacher(nn.Module):
    """A patch embedding and an encoder without gradient, always in eval mode.

    It is no ``BaseModule``: it has no weights of its own to initialize.

    Args:
        backbone: encoder of the student, copied.
        embedding: patch embeddings of the student, copied.
        options: options of the teacher.

    Attributes:
        momentum: momentum of the next step, which a schedule moves.

    Raises:
        ValueError: if the encoder has fewer layers than are averaged.
    """

    def __init__(
        self,
        backbone: MaskedVisionTransformer,
        embedding: nn.Module,
        options: TeacherOptions | None = None,
    ) -> None:
        super().__init__()
        options = options or TeacherOptions()
        if not 1 <= options.average_layers <= backbone.num_layers:
            raise ConfigError(
                'teacher.average_layers',
                f'a number within 1...{backbone.num_layers}',
                options.average_layers,
            )
        self.backbone = deepcopy(backbone)
        self.embedding = deepcopy(embedding)
        self.target_norm = options.target_norm
        self.average_layers = options.average_layers
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
            backbone: encoder of the student.
            embedding: patch embeddings of the student.
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
        """Encode whole, unmasked windows.

        Args:
            images: normalized images (B, C_m, H, W) of each modality.
            patch_valid: mask (B, N) of each modality; patches without data are not attended to.
            grid: rows and columns of patches.

        Returns:
            Targets, and features before their normalization, each (B, N, D) per modality.
        """
        features = encode_windows(
            self.backbone, self.embedding, images, patch_valid, grid, self.average_layers
        )
        targets = {
            name: normalize_targets(feature, patch_valid[name], self.target_norm)
            for name, feature in features.items()
        }
        return targets, features
