"""MSSDF, the algorithm (method.md, sections 4 to 6)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch

from ..heads import ModalityHead, PixelHead
from ..losses import (
    NonFiniteLossError,
    masked_feature_loss,
    masked_pixel_loss,
    modality_loss,
)
from ..utils.attention import checkpoint_layers
from ..utils.positions import gather_tokens, visible_indices
from .monitor import feature_monitor
from .pairwise import pairwise_terms
from .teacher import EMATeacher

TERMS = ('rec', 'align', 'hsic', 'cls', 'pix')


def total(values: Iterable[Tensor]) -> Tensor:
    """Sum of tensors of one shape."""
    return torch.stack(list(values)).sum(dim=0)


@dataclass
class Encoded:
    """What the student's encoder makes of one modality's visible patches.

    Attributes:
        cls_token: (B, D).
        tokens: (B, K, D).
        locations: (B, K) their patches.
        keep: (B, K) bool, false at padding.
    """

    cls_token: Tensor
    tokens: Tensor
    locations: Tensor
    keep: Tensor


@dataclass
class LossTerm:
    """Weight of a loss and how it sets in.

    Attributes:
        weight: final weight; 0 skips the term's computation.
        ramp: (begin, end) in iterations between which the weight rises linearly from 0.
    """

    weight: float = 0.0
    ramp: tuple[int, int] | None = None

    def at(self, iteration: int) -> float:
        """Weight at an iteration."""
        if self.ramp is None:
            return self.weight
        begin, end = self.ramp
        return self.weight * min(max((iteration - begin) / max(end - begin, 1), 0.0), 1.0)


def parse_loss_terms(
    weights: dict[str, float], ramps: dict[str, tuple[int, int]] | None = None
) -> dict[str, LossTerm]:
    """Join the weights and ramps of a config.

    Raises:
        KeyError: for an unknown term.
        ValueError: if all weights are 0, one is negative or a ramp falls.
    """
    ramps = ramps or {}
    for key, given in (('losses', weights), ('ramps', ramps)):
        unknown = set(given) - set(TERMS)
        if unknown:
            raise KeyError(f'{key}: expected keys among {TERMS}, found {sorted(unknown)}')
    if min(weights.values(), default=0) < 0:
        raise ValueError(f'losses: weights must not be negative, found {weights}')
    if not any(weights.values()):
        raise ValueError(f'losses: at least one weight must be above 0, found {weights}')
    for name, ramp in ramps.items():
        if ramp is not None and (len(ramp) != 2 or not 0 <= ramp[0] <= ramp[1]):
            raise ValueError(f'ramps.{name}: expected 0 <= begin <= end, found {ramp}')
    return {name: LossTerm(float(weights.get(name, 0)), ramps.get(name)) for name in TERMS}


@MODELS.register_module()
class MSSDF(BaseSelfSupervisor):
    """Modality-shared self-supervised distillation.

    Modules that no loss needs are not built.

    Args:
        backbone: the student's encoder, a ``MaskedVisionTransformer``.
        embedding: ``PerModalityPatchEmbedding`` or ``SharedPatchEmbedding``.
        fusion_decoder: ``FusionDecoder``.
        modality_decoder: ``ModalityDecoder``.
        data_preprocessor: ``MaskingDataPreprocessor``; its modalities are the model's.
        losses: weight of each of ``rec``, ``align``, ``hsic``, ``cls`` and ``pix``. Default: the
            paper's.
        ramps: (begin, end) in iterations between which a term's weight rises from 0.
        primary: the modality that the backbone's own patch embedding reads; the checkpoint drops
            into a plain ViT for it. Default: ``'rgb'``, or the first.
        teacher: ``target_norm`` and ``average_layers`` of :class:`~.teacher.EMATeacher`, and
            ``checkpoint`` to start it from other weights than the student's.
        pairwise: ``features`` (``'predicted'`` or ``'encoder'``: where the terms between
            modalities look), ``num_locations`` (K, over all ranks), ``temperature``.
        pixel_floor: per modality, the smallest standard deviation of a patch in L_pix, in the
            modality's own unit (metres for a DSM).
        monitor_interval: iterations between two looks at the features' spread and rank.
        checkpoint_activations: compute each transformer layer of the student again
            in the backward pass instead of keeping its activations.
        init_cfg: of the whole model.
    """

    def __init__(
        self,
        backbone: dict,
        embedding: dict,
        fusion_decoder: dict,
        modality_decoder: dict,
        data_preprocessor: dict | nn.Module,
        losses: dict[str, float] | None = None,
        ramps: dict[str, tuple[int, int]] | None = None,
        primary: str | None = None,
        teacher: dict | None = None,
        pairwise: dict | None = None,
        pixel_floor: dict[str, float] | None = None,
        monitor_interval: int = 50,
        checkpoint_activations: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        channels = self.data_preprocessor.channels
        # sorted: MMEngine sorts the config that it keeps, and a resumed run must mean the same
        self.modalities = tuple(sorted(channels))
        self.primary = self._check_primary(primary, channels)
        self.terms = parse_loss_terms(
            losses or dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=0.0), ramps
        )
        self.patch_size = self.backbone.patch_size
        if self.data_preprocessor.patch_size != self.patch_size:
            raise ValueError(
                f"data_preprocessor.patch_size: expected the backbone's {self.patch_size}, "
                f'found {self.data_preprocessor.patch_size}'
            )
        width = self.backbone.embed_dims
        self.embedding = MODELS.build(
            dict(
                channels=channels,
                primary=self.primary,
                embed_dims=width,
                patch_size=self.patch_size,
                **embedding,
            )
        )
        pairwise = dict(
            dict(features='predicted', num_locations=1024, temperature=0.07), **(pairwise or {})
        )
        self.pairwise_features = pairwise.pop('features')
        if self.pairwise_features not in ('predicted', 'encoder'):
            raise ValueError(
                f"pairwise.features must be 'predicted' or 'encoder', "
                f'found {self.pairwise_features!r}'
            )
        self.pairwise: dict[str, Any] = pairwise
        self._build_decoders(fusion_decoder, modality_decoder, width, channels)
        self.modality_head = (
            ModalityHead(width, len(self.modalities)) if self._uses('cls') else None
        )
        teacher = dict(teacher or {})
        self.teacher_checkpoint = teacher.pop('checkpoint', None)
        self.teacher = (
            EMATeacher(self.backbone, self.embedding, **teacher) if self._uses('rec') else None
        )
        self.pixel_floor = {
            name: (pixel_floor or {}).get(name, 0.0) * len(settings['std']) / sum(settings['std'])
            for name, settings in self.data_preprocessor.modalities.items()
        }
        self.monitor_interval = monitor_interval
        checkpoint_layers(self, checkpoint_activations)  # the teacher keeps nothing anyway
        self.iteration = 0
        self._files: list[str] = []

    @staticmethod
    def _check_primary(primary: str | None, channels: dict[str, int]) -> str:
        if primary is None:
            primary = 'rgb' if 'rgb' in channels else next(iter(channels))
        if primary not in channels:
            raise ValueError(f'primary must be one of {list(channels)}, found {primary!r}')
        return primary

    def _uses(self, *terms: str) -> bool:
        return any(self.terms[name].weight > 0 for name in terms)

    @property
    def _pairs(self) -> bool:
        return len(self.modalities) > 1 and self._uses('align', 'hsic')

    def _build_decoders(
        self, fusion: dict, modality: dict, width: int, channels: dict[str, int]
    ) -> None:
        pairs_predicted = self._pairs and self.pairwise_features == 'predicted'
        predicts = self._uses('rec') or pairs_predicted
        self.fusion_decoder: Any = None
        self.modality_decoder: Any = None
        self.feature_head: nn.Module | None = None
        self.pixel_head: nn.Module | None = None
        if not (predicts or self._uses('pix')):
            return
        self.fusion_decoder = MODELS.build(dict(in_dims=width, **fusion))
        self.modality_decoder = MODELS.build(dict(modalities=self.modalities, **modality))
        decoded = self.modality_decoder.embed_dims
        if decoded != self.fusion_decoder.embed_dims:
            raise ValueError(
                f"modality_decoder.embed_dims must equal the fusion decoder's "
                f'{self.fusion_decoder.embed_dims}, found {decoded}'
            )
        if predicts:
            self.feature_head = nn.Linear(decoded, width)
        if self._uses('pix'):
            self.pixel_head = PixelHead(decoded, channels, self.patch_size)

    def init_weights(self) -> None:
        """Initialise the student, then start the teacher from it or from its own checkpoint."""
        super().init_weights()
        if self.teacher is None:
            return
        self.teacher.copy_from(self.backbone, self.embedding)
        if self.teacher_checkpoint is not None:
            from mssdf.utils.checkpoint import load_pretrained

            load_pretrained(self.teacher.backbone, self.teacher_checkpoint, prefix='backbone.')

    def set_progress(self, iteration: int) -> None:
        """Tell the model the iteration, for the ramps and the monitor."""
        self.iteration = iteration

    def update_teacher(self, momentum: float) -> None:
        """Move the teacher after an optimiser step."""
        if self.teacher is not None:
            self.teacher.update(self.backbone, self.embedding, momentum)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Features of normalised images (B, C, H, W) of the primary modality."""
        return self.backbone(inputs)

    def encode(self, batch: MaskedBatch) -> dict[str, Encoded]:
        """Encode the visible patches of each modality, each as a sequence of its own."""
        encoded = {}
        for name, image in batch.images.items():
            tokens = self.embedding(name, image, self.backbone.patch_embed)
            tokens = self.backbone.add_positions(tokens, batch.grid)
            locations, keep = visible_indices(batch.masks[name], batch.num_visible[name])
            tokens = gather_tokens(tokens, locations)
            output = self.backbone.encode(tokens, keep if batch.ragged[name] else None)
            encoded[name] = Encoded(output[:, 0], output[:, 1:], locations, keep)
        return encoded

    def decode(self, encoded: dict[str, Encoded], grid: tuple[int, int]) -> dict[str, Tensor]:
        """Fuse the visible tokens and decode (B, N, D') for every modality."""
        fused = self.fusion_decoder(
            {name: one.tokens + one.cls_token.detach()[:, None] for name, one in encoded.items()},
            {name: one.locations for name, one in encoded.items()},
            {name: one.keep for name, one in encoded.items()},
            grid,
        )
        return self.modality_decoder(*fused, grid)

    def window_losses(
        self,
        batch: MaskedBatch,
        encoded: dict[str, Encoded],
        decoded: dict[str, Tensor],
        predicted: dict[str, Tensor],
        targets: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """The terms that each window has by itself: ``rec``, ``pix`` and ``cls``, (B,) each."""
        hidden = {name: batch.masks[name] & batch.patch_valid[name] for name in batch.images}
        losses: dict[str, Tensor] = {}
        if self._uses('rec'):
            losses['rec'] = total(
                masked_feature_loss(predicted[name], targets[name], hidden[name]) for name in hidden
            )
        if self.pixel_head is not None:
            pixels = self.pixel_head(decoded)
            losses['pix'] = total(
                masked_pixel_loss(
                    pixels[name],
                    batch.images[name],
                    batch.pixel_valid[name],
                    hidden[name],
                    self.patch_size,
                    max(self.pixel_floor[name], 1e-3),
                )
                for name in hidden
            )
        if self.modality_head is not None:
            logits = self.modality_head(
                torch.stack([encoded[name].cls_token for name in self.modalities], dim=1)
            )
            present = torch.stack([batch.present(name) for name in self.modalities], dim=1)
            losses['cls'] = modality_loss(logits, present)
        return losses

    def _pairwise_losses(
        self,
        batch: MaskedBatch,
        encoded: dict[str, Encoded],
        predicted: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        if self.pairwise_features == 'predicted':
            features, eligible = predicted, batch.patch_valid
        else:
            features, eligible = {}, {}
            for name, one in encoded.items():
                index = one.locations.unsqueeze(-1).expand_as(one.tokens)
                grid = one.tokens.new_zeros(*batch.score.shape, one.tokens.shape[-1])
                features[name] = grid.scatter(1, index, one.tokens)
                eligible[name] = ~batch.masks[name]
        return pairwise_terms(
            features,
            eligible,
            noise=batch.noise,
            align=self._uses('align'),
            hsic=self._uses('hsic'),
            **self.pairwise,
        )

    def loss(
        self, inputs: MaskedBatch, data_samples: Sequence[DataSample] | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Compute all terms.

        Args:
            inputs: of :class:`~mssdf.models.MaskingDataPreprocessor`.
            data_samples: name the files of the batch in an error.
            **kwargs: ignored.

        Returns:
            ``loss``: the weighted sum; each term unweighted under its own name; visible patches
            per window of each modality; now and then the spread and rank of the features.
        """
        self._files = [
            str(path)
            for sample in data_samples or []
            for path in (sample.get('files') or {}).values()
        ]
        encoded = self.encode(inputs)
        decoded = {} if self.fusion_decoder is None else self.decode(encoded, inputs.grid)
        predicted = (
            {name: self.feature_head(tokens) for name, tokens in decoded.items()}
            if self.feature_head is not None
            else {}
        )
        targets, teacher_features = {}, {}
        if self.teacher is not None:
            targets, teacher_features = self.teacher(inputs.images, inputs.patch_valid, inputs.grid)
        with torch.autocast(inputs.score.device.type, enabled=False):
            terms = {
                name: value.mean()
                for name, value in self.window_losses(
                    inputs, encoded, decoded, predicted, targets
                ).items()
            }
            if self._pairs:
                terms |= self._pairwise_losses(inputs, encoded, predicted)
            loss = total(self.terms[name].at(self.iteration) * terms[name] for name in terms)
        log: dict[str, Tensor] = {name: terms[name] for name in TERMS if name in terms}
        for name in inputs.images:
            visible = (~inputs.masks[name]).sum(dim=1).float()
            log[f'visible_{name}'] = visible.mean().detach()
        if self.monitor_interval and self.iteration % self.monitor_interval == 0:
            student = {name: (one.tokens, one.locations, one.keep) for name, one in encoded.items()}
            log |= feature_monitor(student, teacher_features, inputs)
        return dict(loss=loss, **log)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As MMEngine, and refuse a loss that is not finite on any rank, before the step.

        What is logged is the mean over the ranks, as one process with the whole batch would have
        it.

        Raises:
            NonFiniteLossError: with the terms and files of this rank, on every rank.
        """
        loss, log_vars = super().parse_losses(losses)
        means = torch.stack([value.detach().float() for value in log_vars.values()])
        all_reduce(means, op='mean')  # NaN and infinity stay what they are
        log_vars = dict(zip(log_vars, means, strict=True))
        if not torch.isfinite(log_vars['loss']):
            terms = [
                f'{name}={losses[name].item():g}'
                for name in (*TERMS, 'loss')
                if name in losses and not torch.isfinite(losses[name])
            ]
            raise NonFiniteLossError(terms, self._files)
        return loss, log_vars

    @torch.no_grad()
    def inspect(self, batch: MaskedBatch) -> dict:
        """What a picture of the method shows, on a batch of the data preprocessor.

        Returns:
            ``score`` (B, N); ``masks``, ``patch_valid`` (B, N), ``images`` (B, C, H, W),
            ``predicted`` (B, N, D) and ``targets`` (B, N, D) per modality (None where the recipe
            has none); ``grid``.
        """
        encoded = self.encode(batch)
        decoded = {} if self.fusion_decoder is None else self.decode(encoded, batch.grid)
        predicted = None
        if self.feature_head is not None:
            predicted = {name: self.feature_head(tokens) for name, tokens in decoded.items()}
        targets = None
        if self.teacher is not None:
            targets = self.teacher(batch.images, batch.patch_valid, batch.grid)[0]
        return dict(
            score=batch.score,
            masks=batch.masks,
            patch_valid=batch.patch_valid,
            images=batch.images,
            predicted=predicted,
            targets=targets,
            grid=batch.grid,
        )
