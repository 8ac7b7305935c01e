"""The student: an encoder of visible patches and the decoders (method.md, section 4)."""

from typing import Any

import torch
from mmpretrain.models import BaseSelfSupervisor
from torch import Tensor, nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch
from mssdf.utils.options import check_choice

from ..heads import ZeroLinear
from ..utils.positions import gather_tokens, visible_indices
from .forward import Decoded, Encoded
from .terms import Needs

CLS_PATHS = ('detached', 'added', 'token', 'none')

# locations (B, Q) to decode of each modality, and which of them are no padding
Queries = dict[str, tuple[Tensor, Tensor]]


class Student(BaseSelfSupervisor):
    """An encoder of each modality's visible patches, and decoders that fuse them.

    Args:
        backbone: config of the encoder, a ``MaskedVisionTransformer``.
        embedding: config of the patch embeddings.
        data_preprocessor: config of the data preprocessor; its modalities are the model's.
        primary: modality that the backbone's own patch embedding reads; None takes ``'rgb'``, or
            the first.
        cls_path: way of the cls token to the decoders, see :class:`~mssdf.models.MSSDF`.
        init_cfg: initialization of the whole model.
    """

    def __init__(
        self,
        backbone: dict,
        embedding: dict,
        data_preprocessor: dict | nn.Module,
        primary: str | None = None,
        cls_path: str = 'detached',
        init_cfg: dict | None = None,
    ) -> None:
        if isinstance(data_preprocessor, dict) and 'patch_size' in backbone:
            # a config says it once, for the backbone
            data_preprocessor = {'patch_size': backbone['patch_size'], **data_preprocessor}
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        check_choice('cls_path', cls_path, CLS_PATHS)
        channels = self.data_preprocessor.channels
        # sorted: MMEngine sorts the config that it keeps, and a resumed run must mean the same
        self.modalities = tuple(sorted(channels))
        self.primary = _check_primary(primary, channels)
        self.cls_path = cls_path

        self.patch_size = self.backbone.patch_size
        if self.data_preprocessor.patch_size != self.patch_size:
            raise ConfigError(
                'data_preprocessor.patch_size',
                f"the backbone's {self.patch_size}",
                self.data_preprocessor.patch_size,
            )
        self.embedding = MODELS.build(
            dict(
                channels=channels,
                primary=self.primary,
                embed_dims=self.backbone.embed_dims,
                patch_size=self.patch_size,
                **embedding,
            )
        )

    def build_decoders(self, fusion: dict, modality: dict, needs: Needs) -> None:
        """Build the decoders and the head that predicts features, as far as a term needs them.

        Args:
            fusion: config of the fusion decoder.
            modality: config of the modality decoder.
            needs: needs of all loss terms.

        Raises:
            ValueError: for decoders that do not fit together, or not to the terms.
        """
        self.fusion_decoder: Any = None
        self.modality_decoder: Any = None
        self.feature_head: nn.Module | None = None
        if not needs.decoder:
            return

        width = self.backbone.embed_dims
        self.fusion_decoder = MODELS.build(dict(in_dims=width, **fusion))
        self.modality_decoder = MODELS.build(dict(modalities=self.modalities, **modality))
        decoded = self.modality_decoder.embed_dims
        if decoded != self.fusion_decoder.embed_dims:
            raise ConfigError(
                'modality_decoder.embed_dims',
                f"the fusion decoder's {self.fusion_decoder.embed_dims}",
                decoded,
            )
        if needs.all_locations and self.modality_decoder.queries != 'all':
            raise ConfigError(
                'modality_decoder.queries',
                "'all' with pairwise.features='predicted'",
                self.modality_decoder.queries,
            )
        if needs.apart and self.modality_decoder.joint:
            # one token for all modalities, and one head: all would be predicted alike
            raise ConfigError(
                'modality_decoder.joint',
                "False with rec, disc or pairwise.features='predicted'",
                True,
            )
        if needs.prediction:
            self.feature_head = ZeroLinear(decoded, width)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute features of normalized images (B, C, H, W) of the primary modality."""
        return self.backbone(inputs)

    def encode(self, batch: MaskedBatch) -> dict[str, Encoded]:
        """Encode the visible patches of each modality, each as a sequence of its own."""
        encoded = {}
        for name, image in batch.images.items():
            tokens = self.embedding(name, image, self.backbone.patch_embed)  # (B, N, D)
            tokens = self.backbone.add_positions(tokens, batch.grid)

            locations, keep = visible_indices(batch.masks[name], batch.num_visible[name])
            tokens = gather_tokens(tokens, locations)  # (B, K, D)
            output = self.backbone.encode(tokens, keep if batch.ragged[name] else None)
            encoded[name] = Encoded(output[:, 0], output[:, 1:], locations, keep)
        return encoded

    def decode(
        self,
        encoded: dict[str, Encoded],
        grid: tuple[int, int],
        queries: Queries | None = None,
        length: int | None = None,
    ) -> dict[str, Tensor]:
        """Decode every modality from the fused visible tokens.

        Args:
            encoded: output of :meth:`encode`.
            grid: rows and columns of patches, N in all.
            queries: locations to decode, see :class:`~mssdf.models.ModalityDecoder`; None takes
                all N.
            length: largest number of fused locations, see :class:`~mssdf.models.FusionDecoder`.

        Returns:
            Tokens (B, N or Q, D) of each modality.
        """
        fused = self.fusion_decoder(
            {name: self._with_cls(one) for name, one in encoded.items()},
            {name: one.locations for name, one in encoded.items()},
            {name: one.keep for name, one in encoded.items()},
            grid,
            length,
        )
        summary = self._summary(encoded) if self.cls_path == 'token' else None
        return self.modality_decoder(*fused, grid, queries, summary)

    def decode_batch(
        self, encoded: dict[str, Encoded], batch: MaskedBatch, everywhere: bool = False
    ) -> dict[str, Decoded]:
        """Decode the locations that the decoder's ``queries`` ask for.

        Args:
            encoded: output of :meth:`encode`.
            batch: masked batch that it comes from.
            everywhere: whether to decode all locations instead.
        """
        hidden = {name: batch.masks[name] & batch.patch_valid[name] for name in batch.images}
        if everywhere or self.modality_decoder.queries == 'all':
            tokens = self.decode(encoded, batch.grid, length=batch.num_seen)
            return {name: Decoded(tokens[name], hidden[name]) for name in hidden}

        queries: Queries
        if self.modality_decoder.joint:
            anywhere = torch.stack(list(hidden.values())).any(dim=0)
            queries = dict.fromkeys(hidden, visible_indices(~anywhere, batch.num_unseen))
        else:
            length = max(batch.num_hidden.values())
            queries = {name: visible_indices(~mask, length) for name, mask in hidden.items()}

        tokens = self.decode(encoded, batch.grid, queries, batch.num_seen)
        return {
            name: Decoded(tokens[name], keep & hidden[name].gather(1, locations), locations)
            for name, (locations, keep) in queries.items()
        }

    def predict(self, decoded: dict[str, Decoded]) -> dict[str, Tensor]:
        """Predict the teacher's features (B, Q, D); empty if no loss term looks at them."""
        if self.feature_head is None:
            return {}
        return {name: self.feature_head(one.tokens) for name, one in decoded.items()}

    def _with_cls(self, encoded: Encoded) -> Tensor:
        """Return the patch tokens (B, K, D) as the fusion decoder takes them."""
        if self.cls_path == 'detached':
            return encoded.tokens + encoded.cls_token.detach()[:, None]
        if self.cls_path == 'added':
            return encoded.tokens + encoded.cls_token[:, None]
        return encoded.tokens

    def _summary(self, encoded: dict[str, Encoded]) -> tuple[Tensor, Tensor]:
        """Project the cls tokens to the decoders' width: (B, M, D'), and mark those there are."""
        tokens = torch.stack([encoded[name].cls_token for name in self.modalities], dim=1)
        present = torch.stack([encoded[name].keep.any(dim=1) for name in self.modalities], dim=1)
        return self.fusion_decoder.project(tokens), present


def _check_primary(primary: str | None, channels: dict[str, int]) -> str:
    if primary is None:
        primary = 'rgb' if 'rgb' in channels else next(iter(channels))
    if primary not in channels:
        raise ConfigError('primary', f'one of {list(channels)}', primary)
    return primary
