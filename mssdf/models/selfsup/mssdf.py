"""MSSDF, the algorithm (method.md, sections 4 to 6)."""

import logging
import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mssdf.distributed import (
    gather_windows,
    gather_windows_with_gradient,
    own_windows,
    rank_and_world_size,
)
from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch

from ..heads import FrozenPatchProjection, ModalityHead, PixelHead, ProjectionHead, ZeroLinear
from ..losses import (
    NonFiniteLossError,
    discrimination_loss,
    instance_loss,
    masked_feature_loss,
    masked_pixel_loss,
    modality_loss,
)
from ..losses.pixels import TARGETS, patch_range, reconstruct
from ..utils.attention import checkpoint_layers
from ..utils.positions import gather_tokens, visible_indices
from .loss_weights import TERMS, parse_loss_weights, refuse_ramps
from .monitor import feature_monitor, gradient_norms
from .pairwise import PairwiseOptions, pairwise_terms
from .parts import Decoded, Encoded
from .scheduled import Scheduled
from .teacher import MOMENTUM, EMATeacher, encode_windows

POOLS = ('mean', 'cls')
CLS_PATHS = ('detached', 'added', 'token', 'none')


def total(values: Iterable[Tensor]) -> Tensor:
    """Sum of tensors of one shape."""
    return torch.stack(list(values)).sum(dim=0)


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
        losses: weight of each of ``rec``, ``align``, ``hsic``, ``cls``, ``pix``, ``inst`` and
            ``disc``. Default: the paper's.
        ramps: a key of earlier versions, refused unless it is empty.
        primary: the modality that the backbone's own patch embedding reads; the checkpoint drops
            into a plain ViT for it. Default: ``'rgb'``, or the first.
        teacher: ``target_norm`` and ``average_layers`` of :class:`~.teacher.EMATeacher`, and
            ``checkpoint``, a file from which the student and the teacher both start: the encoder,
            and each patch embedding that the file has.
        pairwise: settings of the terms between modalities, see :class:`~.pairwise.PairwiseOptions`.
        instance: settings of L_inst: ``pool`` (``'mean'`` or ``'cls'``), ``temperature`` and
            ``projector``, the width of the projections. It compares the modalities of a window,
            and, with ``data_preprocessor.second_view``, two views of each.
        discrimination: settings of L_disc: ``temperature``.
        pixel_target: per modality, what L_pix predicts: ``'normalized'`` patches, the default, or
            ``'raw'`` ones, for heights.
        pixel_floor: per modality, the smallest standard deviation of a patch in L_pix, in the
            modality's own unit (meters for a DSM).
        monitor_interval: iterations between two looks at the features: spread, rank and the share
            of position.
        monitor_gradients: log the norm of each term's weighted gradient at the encoder's output,
            too, at the same interval.
        cls_path: how the cls token reaches the decoders: ``'detached'`` adds it to the patch
            tokens, without a gradient back (the paper), ``'added'`` with one; ``'token'`` hands it
            to the modality decoder as a token of its own, as MAE does; ``'none'``.
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
        ramps: dict | None = None,
        primary: str | None = None,
        teacher: dict | None = None,
        pairwise: dict | None = None,
        instance: dict | None = None,
        discrimination: dict | None = None,
        pixel_target: dict[str, str] | None = None,
        pixel_floor: dict[str, float] | None = None,
        monitor_interval: int = 50,
        monitor_gradients: bool = False,
        cls_path: str = 'detached',
        checkpoint_activations: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        channels = self.data_preprocessor.channels
        # sorted: MMEngine sorts the config that it keeps, and a resumed run must mean the same
        self.modalities = tuple(sorted(channels))
        self.primary = self._check_primary(primary, channels)
        refuse_ramps(ramps)
        self.configured_weights = parse_loss_weights(losses)
        self.weights = dict(self.configured_weights)  # of this iteration
        if len(self.modalities) < 2 and not self._uses('rec', 'cls', 'pix', 'inst', 'disc'):
            raise ValueError(
                f'losses: expected a term that one modality alone can have, found {losses} for '
                f'{self.modalities}'
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
        self.pairwise = PairwiseOptions(**(pairwise or {}))
        self._build_decoders(fusion_decoder, modality_decoder, width, channels)
        self._build_heads(width, channels, dict(instance or {}), dict(discrimination or {}))
        self._read_pixel_settings(pixel_target or {}, pixel_floor or {})

        teacher = dict(teacher or {})
        self.start_from = teacher.pop('checkpoint', None)
        unknown = sorted(teacher.keys() - {'target_norm', 'average_layers'})
        if unknown:
            raise ValueError(
                f'teacher: expected target_norm, average_layers and checkpoint, found {unknown}'
            )
        self.teacher = (
            EMATeacher(self.backbone, self.embedding, **teacher) if self._uses('rec') else None
        )
        if cls_path not in CLS_PATHS:
            raise ValueError(f'cls_path: expected one of {CLS_PATHS}, found {cls_path!r}')
        self.cls_path = cls_path
        self.monitor_interval = monitor_interval
        self.monitor_gradients = monitor_gradients
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
        return any(self.configured_weights[name] > 0 for name in terms)

    @property
    def _pairs(self) -> bool:
        return len(self.modalities) > 1 and self._uses('align', 'hsic')

    @property
    def _predicts_pairs(self) -> bool:
        return self._pairs and self.pairwise.features == 'predicted'

    def _build_decoders(
        self, fusion: dict, modality: dict, width: int, channels: dict[str, int]
    ) -> None:
        predicts = self._uses('rec') or self._predicts_pairs
        self.fusion_decoder: Any = None
        self.modality_decoder: Any = None
        self.feature_head: nn.Module | None = None
        self.pixel_head: nn.Module | None = None
        if not (predicts or self._uses('pix', 'disc')):
            return
        self.fusion_decoder = MODELS.build(dict(in_dims=width, **fusion))
        self.modality_decoder = MODELS.build(dict(modalities=self.modalities, **modality))
        decoded = self.modality_decoder.embed_dims
        if decoded != self.fusion_decoder.embed_dims:
            raise ValueError(
                f"modality_decoder.embed_dims must equal the fusion decoder's "
                f'{self.fusion_decoder.embed_dims}, found {decoded}'
            )
        if self._predicts_pairs and self.modality_decoder.queries != 'all':
            raise ValueError(
                "modality_decoder.queries: expected 'all' with pairwise.features='predicted', "
                f'found {self.modality_decoder.queries!r}'
            )
        if self.modality_decoder.joint and (predicts or self._uses('disc')):
            # one token for all modalities, and one head: all would be predicted alike
            raise ValueError(
                'modality_decoder.joint: expected False with rec, disc or pairwise.features='
                "'predicted', found True"
            )
        if predicts:
            self.feature_head = ZeroLinear(decoded, width)
        if self._uses('pix'):
            self.pixel_head = PixelHead(decoded, channels, self.patch_size)

    def _build_heads(
        self, width: int, channels: dict[str, int], instance: dict, discrimination: dict
    ) -> None:
        """Build what a term looks through; nothing for a term whose weight is 0."""
        self.modality_head: nn.Module | None = None
        self.align_head: nn.Module | None = None
        self.instance_head: nn.Module | None = None
        self.patch_projection: nn.Module | None = None
        self.patch_head: nn.Module | None = None
        if self._uses('cls'):
            self.modality_head = ModalityHead(width, len(self.modalities))
        if len(self.modalities) > 1 and self._uses('align') and self.pairwise.projector:
            self.align_head = ProjectionHead(self.modalities, width, self.pairwise.projector)

        self.instance_pool = instance.pop('pool', 'cls')
        self.instance_temperature = instance.pop('temperature', 0.1)
        projector = instance.pop('projector', 128)
        if self.instance_pool not in POOLS or instance:
            raise ValueError(
                f'instance: expected pool (one of {POOLS}), temperature and projector, found '
                f'{dict(pool=self.instance_pool, **instance)}'
            )
        if not self.instance_temperature > 0:
            raise ValueError(
                'instance.temperature: expected a positive number, found '
                f'{self.instance_temperature}'
            )
        if not self._uses('inst'):
            self.data_preprocessor.second_view = None  # nobody would look at it
        if self._uses('inst'):
            if len(self.modalities) < 2 and not self.data_preprocessor.second_view:
                raise ValueError(
                    'losses.inst: expected several modalities or data_preprocessor.second_view, '
                    'found neither'
                )
            self.instance_head = ProjectionHead(['all'], width, projector)

        self.patch_temperature = discrimination.pop('temperature', 0.1)
        if discrimination or not self.patch_temperature > 0:
            raise ValueError(
                'discrimination: expected a positive temperature and nothing else, found '
                f'{dict(temperature=self.patch_temperature, **discrimination)}'
            )
        if self._uses('disc'):
            self.patch_projection = FrozenPatchProjection(channels, self.patch_size, width)
            self.patch_head = nn.Linear(self.modality_decoder.embed_dims, width)

    def _read_pixel_settings(self, target: dict[str, str], floor: dict[str, float]) -> None:
        for name, kind in target.items():
            if kind not in TARGETS:
                raise ValueError(f'pixel_target.{name}: expected one of {TARGETS}, found {kind!r}')
        modalities = self.data_preprocessor.modalities
        for key, given in (
            ('pixel_target', target),
            ('pixel_floor', floor),
            ('pairwise.flat', self.pairwise.flat),
        ):
            absent = sorted(given.keys() - modalities.keys())
            if absent:  # a base may name what a child's data lack
                print_log(
                    f'{key}: {absent} are no modalities of this model ({list(modalities)}) and '
                    'are left out',
                    'current',
                    logging.WARNING,
                )
        self.pixel_target = {name: target.get(name, 'normalized') for name in modalities}
        # from the modality's own unit to that of its normalized values
        self.units = {
            name: sum(settings['std']) / len(settings['std'])
            for name, settings in modalities.items()
        }
        self.pixel_floor = {name: floor.get(name, 0.0) / self.units[name] for name in modalities}

    def init_weights(self) -> None:
        """Initialize the student, or start it from a checkpoint, and the teacher from it."""
        super().init_weights()
        if self.start_from is not None:
            from mssdf.checkpoints.inflate import load_student

            load_student(self.backbone, self.embedding, self.start_from)
        if self.teacher is not None:
            self.teacher.copy_from(self.backbone, self.embedding)

    def scheduled(self) -> dict[str, Scheduled]:
        """List the values that a schedule may move, by name."""
        found = {
            f'losses.{name}': Scheduled(
                partial(self.weights.__setitem__, name),
                configured=weight,
                # what is not built can weigh nothing
                most=math.inf if weight else 0.0,
                used=weight > 0,
            )
            for name, weight in self.configured_weights.items()
        }
        preprocessor, teacher = self.data_preprocessor, self.teacher
        found['masking.p'] = Scheduled(
            partial(setattr, preprocessor, 'cross_modal_ratio'),
            configured=preprocessor.cross_modal_ratio,
            log_name='p_cross',
            used=preprocessor.target is not None,
        )
        found['teacher.momentum'] = Scheduled(
            partial(setattr, teacher, 'momentum'),
            configured=MOMENTUM,
            log_name='momentum',
            used=teacher is not None,
        )
        return found

    def update_teacher(self, momentum: float | None = None) -> None:
        """Move the teacher after an optimizer step.

        Args:
            momentum: momentum of this step; None takes the teacher's own, which a schedule moves.
        """
        if self.teacher is not None:
            self.teacher.update(self.backbone, self.embedding, momentum)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Features of normalized images (B, C, H, W) of the primary modality."""
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

    def decode(
        self,
        encoded: dict[str, Encoded],
        grid: tuple[int, int],
        queries: dict[str, tuple[Tensor, Tensor]] | None = None,
        length: int | None = None,
    ) -> dict[str, Tensor]:
        """Fuse the visible tokens and decode every modality.

        Args:
            encoded: of :meth:`encode`.
            grid: rows and columns of patches, N in all.
            queries: see :class:`~mssdf.models.ModalityDecoder`; all N locations if None.
            length: see :class:`~mssdf.models.FusionDecoder`.

        Returns:
            (B, N or Q, D) tokens of each modality.
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

    def _with_cls(self, encoded: Encoded) -> Tensor:
        """Patch tokens (B, K, D) as the fusion decoder takes them."""
        if self.cls_path == 'detached':
            return encoded.tokens + encoded.cls_token.detach()[:, None]
        if self.cls_path == 'added':
            return encoded.tokens + encoded.cls_token[:, None]
        return encoded.tokens

    def _summary(self, encoded: dict[str, Encoded]) -> tuple[Tensor, Tensor]:
        """Cls tokens (B, M, D') in the decoders' width, and which windows have them."""
        tokens = torch.stack([encoded[name].cls_token for name in self.modalities], dim=1)
        present = torch.stack([encoded[name].keep.any(dim=1) for name in self.modalities], dim=1)
        return self.fusion_decoder.project(tokens), present

    def _decode_batch(
        self, encoded: dict[str, Encoded], batch: MaskedBatch, everywhere: bool = False
    ) -> dict[str, Decoded]:
        """Decode what the decoder's ``queries`` ask for, or all; empty without decoders."""
        if self.fusion_decoder is None:
            return {}
        hidden = {name: batch.masks[name] & batch.patch_valid[name] for name in batch.images}
        if everywhere or self.modality_decoder.queries == 'all':
            tokens = self.decode(encoded, batch.grid, length=batch.num_seen)
            return {name: Decoded(tokens[name], hidden[name]) for name in hidden}

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
        """Predict the teacher's features (B, Q, D); empty if no loss looks at them."""
        if self.feature_head is None:
            return {}
        return {name: self.feature_head(one.tokens) for name, one in decoded.items()}

    def window_losses(
        self,
        batch: MaskedBatch,
        encoded: dict[str, Encoded],
        decoded: dict[str, Decoded],
        predicted: dict[str, Tensor],
        targets: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Compute the terms that each window has by itself, (B,) each.

        ``rec``, ``pix``, ``disc`` and ``cls``, those that the recipe has; ``rec`` only with
        targets.
        """
        losses: dict[str, Tensor] = {}
        if targets:
            losses['rec'] = total(
                masked_feature_loss(predicted[name], one.pick(targets[name]), one.hidden)
                for name, one in decoded.items()
            )
        if self.pixel_head is not None:
            pixels = self.pixel_head({name: one.tokens for name, one in decoded.items()})
            losses['pix'] = total(
                masked_pixel_loss(
                    pixels[name],
                    batch.images[name],
                    batch.pixel_valid[name],
                    one.hidden,
                    self.patch_size,
                    max(self.pixel_floor[name], 1e-3),
                    self.pixel_target[name],
                    one.locations,
                )
                for name, one in decoded.items()
            )
        if self.patch_head is not None:
            losses['disc'] = total(
                self._discrimination(name, one, batch) for name, one in decoded.items()
            )
        if self.modality_head is not None:
            logits = self.modality_head(
                torch.stack([encoded[name].cls_token for name in self.modalities], dim=1)
            )
            present = torch.stack([batch.present(name) for name in self.modalities], dim=1)
            losses['cls'] = modality_loss(logits, present)
        return losses

    def _discrimination(self, name: str, decoded: Decoded, batch: MaskedBatch) -> Tensor:
        assert self.patch_head is not None and self.patch_projection is not None
        target = self.patch_projection(name, batch.images[name])
        locations = decoded.locations
        if locations is None:
            locations = torch.arange(target.shape[1], device=target.device).expand(len(target), -1)
        return discrimination_loss(
            self.patch_head(decoded.tokens),
            target,
            locations,
            decoded.hidden,
            batch.patch_valid[name],
            self.patch_temperature,
        )

    def _pairwise_losses(
        self,
        batch: MaskedBatch,
        encoded: dict[str, Encoded],
        predicted: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        num_patches = batch.score.shape[1]
        projected = None
        if self.pairwise.features == 'predicted':
            features, eligible = predicted, batch.patch_valid
            if self.align_head is not None:
                projected = {name: self.align_head(name, one) for name, one in features.items()}
        else:
            # before the grid: there are fewer visible tokens than locations
            tokens = {name: one.tokens for name, one in encoded.items()}
            features = {
                name: one.on_grid(tokens[name], num_patches) for name, one in encoded.items()
            }
            eligible = {name: ~batch.masks[name] for name in encoded}
            if self.align_head is not None:
                projected = {
                    name: one.on_grid(self.align_head(name, tokens[name]), num_patches)
                    for name, one in encoded.items()
                }
        return pairwise_terms(
            features,
            eligible,
            self.pairwise,
            noise=batch.noise,
            projected=projected,
            flat=self._flat_patches(batch),
            align=self._uses('align'),
            hsic=self._uses('hsic'),
        )

    def _flat_patches(self, batch: MaskedBatch) -> dict[str, Tensor]:
        """Patches (B, N) whose heights lie within ``pairwise.flat`` meters."""
        flat = {}
        for name in self.pairwise.flat.keys() & batch.images.keys():
            low, high = patch_range(batch.images[name], batch.pixel_valid[name], self.patch_size)
            flat[name] = (high - low) * self.units[name] <= self.pairwise.flat[name]
        return flat

    def _instance_loss(
        self, batch: MaskedBatch, encoded: dict[str, Encoded], second: dict[str, Encoded]
    ) -> Tensor:
        """Compare whole windows: their modalities, and two views of them if there are."""
        assert self.instance_head is not None
        views, present = [], []
        seconds = [] if batch.second is None else [(batch.second, second)]
        for view, parts in [(batch, encoded), *seconds]:
            for name, one in parts.items():
                pooled = one.mean_token() if self.instance_pool == 'mean' else one.cls_token
                projected = self.instance_head('all', pooled).float()
                views.append(gather_windows_with_gradient(projected))
                present.append(gather_windows(view.present(name)))

        count = len(encoded)
        if batch.second is None:
            pairs = [(first, second) for second in range(count) for first in range(second)]
        else:
            pairs = [(first, count + second) for first in range(count) for second in range(count)]
        anchors = own_windows(batch.batch_size, batch.score.device)
        loss = instance_loss(views, present, pairs, anchors, self.instance_temperature)
        # ranks have different anchors: the mean over them is then the sum over all anchors
        return loss * rank_and_world_size()[1]

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
            per window of each modality; at intervals the monitor's figures. ``rec`` is absent
            while its weight is 0: the teacher is not run.
        """
        self._files = [
            str(path)
            for sample in data_samples or []
            for path in (sample.get('files') or {}).values()
        ]
        encoded = self.encode(inputs)
        second = {}
        if self.instance_head is not None and inputs.second is not None:
            second = self.encode(inputs.second)
        teaches = self.teacher is not None and self.weights['rec'] > 0
        decodes = teaches or self._uses('pix', 'disc') or self._predicts_pairs
        decoded = self._decode_batch(encoded, inputs) if decodes else {}
        predicted = self.predict(decoded)
        targets, teacher_features = {}, {}
        if self.teacher is not None and teaches:
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
            if self.instance_head is not None:
                terms['inst'] = self._instance_loss(inputs, encoded, second)
            weighted = {name: self.weights[name] * terms[name] for name in terms}
            loss = total([*weighted.values(), self._asleep(bool(weighted), decodes, teaches)])

        log: dict[str, Tensor] = {name: terms[name] for name in TERMS if name in terms}
        for name in inputs.images:
            visible = (~inputs.masks[name]).sum(dim=1).float()
            log[f'visible_{name}'] = visible.mean().detach()
        if self.monitor_interval and self.iteration % self.monitor_interval == 0:
            outputs = [*encoded.values(), *second.values()]
            log |= self._monitor(inputs, encoded, teacher_features)
            if self.monitor_gradients and torch.is_grad_enabled():
                log |= self._gradient_norms(weighted, outputs)
        return dict(loss=loss, **log)

    def _asleep(self, learns: bool, decodes: bool, teaches: bool) -> Tensor:
        """Zero, with a zero gradient for what takes no part in this step, or DDP waits for it.

        Args:
            learns: whether any term is computed.
            decodes: whether the decoders run.
            teaches: whether the teacher does.
        """
        modules: list[nn.Module | None] = []
        if self.teacher is not None and not teaches and not self._predicts_pairs:
            modules.append(self.feature_head)
        if not decodes:
            modules += [self.fusion_decoder, self.modality_decoder]
        if not learns:
            modules = [self]
        parameters = [
            parameter
            for module in modules
            if module is not None
            for parameter in module.parameters()
            # sharded parameters need no gradient to go on
            if parameter.requires_grad and not hasattr(parameter, 'full_tensor')
        ]
        zero = self.backbone.pos_embed.new_zeros((), dtype=torch.float32)
        return zero + 0.0 * total(one.float().sum() for one in parameters) if parameters else zero

    def _gradient_norms(
        self, weighted: dict[str, Tensor], outputs: list[Encoded]
    ) -> dict[str, Tensor]:
        """Norm of each term's gradient at the encoder's outputs.

        Raises:
            ValueError: if the model is sharded or compiled, whose graph can be used once only.
        """
        sharded = any(hasattr(parameter, 'full_tensor') for parameter in self.parameters())
        compiled = any(
            getattr(module, '_compiled_call_impl', None) is not None for module in self.modules()
        )
        if sharded or compiled:
            raise ValueError(
                'monitor_gradients: expected a model that is neither sharded nor compiled, found '
                f'{"a sharded" if sharded else "a compiled"} one; set it to False'
            )
        features = [value for one in outputs for value in (one.tokens, one.cls_token)]
        return gradient_norms(weighted, features)

    def _monitor(
        self, batch: MaskedBatch, encoded: dict[str, Encoded], teacher: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        num_patches = batch.score.shape[1]
        tokens = [one.on_grid(one.tokens.detach(), num_patches) for one in encoded.values()]
        log = feature_monitor(tokens, [~batch.masks[name] for name in encoded], 'student')
        if teacher:
            keep = [batch.patch_valid[name] for name in teacher]
            log |= feature_monitor(list(teacher.values()), keep, 'teacher')
        return log

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
        """Collect what a picture of the method shows of a batch of the data preprocessor.

        Returns:
            ``score`` (B, N); ``masks``, ``patch_valid`` (B, N), ``images`` (B, C, H, W),
            ``features`` (B, N, D) of the student that sees whole windows, ``predicted`` (B, N, D),
            ``targets`` (B, N, D) and ``reconstructed`` (B, C, H, W) per modality (None where the
            recipe has none); ``grid``.
        """
        encoded = self.encode(batch)
        decoded = self._decode_batch(encoded, batch, everywhere=True)
        seen = (batch.images, batch.patch_valid, batch.grid)
        return dict(
            score=batch.score,
            masks=batch.masks,
            patch_valid=batch.patch_valid,
            images=batch.images,
            features=encode_windows(self.backbone, self.embedding, *seen),
            predicted=self.predict(decoded) or None,
            targets=None if self.teacher is None else self.teacher(*seen)[0],
            reconstructed=self._reconstruct(decoded, batch),
            grid=batch.grid,
        )

    def _reconstruct(
        self, decoded: dict[str, Decoded], batch: MaskedBatch
    ) -> dict[str, Tensor] | None:
        """Windows with the predicted pixels of their hidden patches; None without L_pix."""
        if self.pixel_head is None:
            return None
        pixels = self.pixel_head({name: one.tokens for name, one in decoded.items()})
        return {
            name: reconstruct(
                pixels[name],
                batch.images[name],
                batch.pixel_valid[name],
                one.hidden,
                self.patch_size,
                max(self.pixel_floor[name], 1e-3),
                self.pixel_target[name],
            )
            for name, one in decoded.items()
        }
