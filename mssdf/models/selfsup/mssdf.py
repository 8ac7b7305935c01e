"""MSSDF, the algorithm (method.md, sections 4 to 6)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mssdf.checkpoints.inflate import load_student
from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch
from mssdf.utils.options import parse_options

from ..utils.attention import checkpoint_layers
from .finite import check_finite
from .forward import Forward
from .idle import idle_modules, zero_of
from .loss_weights import SUMMED, TERMS, parse_loss_weights, refuse_ramps
from .monitor import count_visible, encoder_gradients, monitor_features
from .scheduled import Scheduled, scheduled_values
from .student import Student
from .teacher import EMATeacher, TeacherOptions, encode_windows
from .terms import Needs, add_heads, build_terms, parse_term_options, reconstruct, total


@MODELS.register_module()
class MSSDF(Student):
    """Modality-shared self-supervised distillation.

    The student is section 4 of method.md, the teacher section 5, and each object of
    ``loss_terms`` a loss term of section 6. Modules that no loss term needs are not built.

    Args:
        backbone: config of the student's encoder, a ``MaskedVisionTransformer``.
        embedding: config of ``PerModalityPatchEmbedding`` or ``SharedPatchEmbedding``.
        fusion_decoder: config of the ``FusionDecoder``.
        modality_decoder: config of the ``ModalityDecoder``.
        data_preprocessor: config of the ``MaskingDataPreprocessor``; its modalities are the
            model's.
        losses: weight of each of ``rec``, ``align``, ``hsic``, ``cls``, ``pix``, ``inst`` and
            ``disc``; None takes the paper's.
        ramps: key of earlier versions, refused unless it is empty.
        primary: modality that the backbone's own patch embedding reads; the checkpoint drops into
            a plain ViT for it. None takes ``'rgb'``, or the first.
        teacher: options of the teacher, see :class:`~.teacher.TeacherOptions`.
        pairwise: options of the terms between modalities, see :class:`~.pairwise.PairwiseOptions`.
        instance: options of L_inst, see :class:`~.terms.InstanceOptions`. It compares the
            modalities of a window, and, with ``data_preprocessor.second_view``, two views of each.
        discrimination: options of L_disc, see :class:`~.terms.DiscriminationOptions`.
        pixel_target: target of L_pix for each modality: ``'normalized'`` patches, the default, or
            ``'raw'`` ones, for heights.
        pixel_floor: smallest standard deviation of a patch in L_pix for each modality, in the
            modality's own unit (meters for a DSM).
        monitor_interval: number of iterations between two looks at the features: spread, rank and
            the share of position; 0 never looks.
        monitor_gradients: whether to log the norm of each term's weighted gradient at the
            encoder's output, too, at the same interval.
        cls_path: way of the cls token to the decoders: ``'detached'`` adds it to the patch tokens,
            without a gradient back (the paper), ``'added'`` with one; ``'token'`` hands it to the
            modality decoder as a token of its own, as MAE does; ``'none'``.
        checkpoint_activations: whether to compute each transformer layer of the student again in
            the backward pass instead of keeping its activations.
        init_cfg: initialization of the whole model.

    Attributes:
        iteration: number of completed iterations, which a hook sets.
        weights: weight of each loss term in this iteration, which a schedule may move.
        loss_terms: objects that compute the loss terms.
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
        refuse_ramps(ramps)
        super().__init__(backbone, embedding, data_preprocessor, primary, cls_path, init_cfg)
        self.configured_weights = parse_loss_weights(losses)
        self.weights = dict(self.configured_weights)
        options = parse_term_options(pairwise, instance, discrimination, pixel_target, pixel_floor)
        self.loss_terms = build_terms(self.weights, options, self.data_preprocessor)

        # in the order of their initial draws: decoders and heads; the teacher is a copy
        needs = Needs.of(self.loss_terms)
        self.build_decoders(fusion_decoder, modality_decoder, needs)
        add_heads(self, self.loss_terms)
        self.teacher_options = parse_options(TeacherOptions, 'teacher', teacher)
        self.teacher: EMATeacher | None = None
        if needs.teacher:
            self.teacher = EMATeacher(self.backbone, self.embedding, self.teacher_options)

        self.monitor_interval = monitor_interval
        self.monitor_gradients = monitor_gradients
        checkpoint_layers(self, checkpoint_activations)  # the teacher keeps nothing anyway
        self.iteration = 0

    def init_weights(self) -> None:
        """Initialize the student, or start it from a checkpoint, and the teacher from it."""
        super().init_weights()
        if self.teacher_options.checkpoint is not None:
            load_student(self.backbone, self.embedding, self.teacher_options.checkpoint)
        if self.teacher is not None:
            self.teacher.copy_from(self.backbone, self.embedding)

    def scheduled(self) -> dict[str, Scheduled]:
        """List the values that a schedule may move, by name."""
        return scheduled_values(
            self.weights, self.configured_weights, self.data_preprocessor, self.teacher
        )

    def update_teacher(self, momentum: float | None = None) -> None:
        """Move the teacher after an optimizer step.

        Args:
            momentum: momentum of this step; None takes the teacher's own, which a schedule moves.
        """
        if self.teacher is not None:
            self.teacher.update(self.backbone, self.embedding, momentum)

    def run(self, batch: MaskedBatch, needs: Needs, everywhere: bool = False) -> Forward:
        """Run the parts of the forward pass that are needed.

        Args:
            batch: masked batch.
            needs: needs of the loss terms.
            everywhere: whether to decode all locations, whatever the decoder's ``queries``.
        """
        forward = Forward(self.encode(batch))
        if needs.second_view and batch.second is not None:
            forward.second = self.encode(batch.second)
        if needs.decoder:
            forward.decoded = self.decode_batch(forward.encoded, batch, everywhere)
            forward.predicted = self.predict(forward.decoded)
        if needs.teacher and self.teacher is not None:
            forward.targets, forward.teacher_features = self.teacher(
                batch.images, batch.patch_valid, batch.grid
            )
        return forward

    def loss(
        self, inputs: MaskedBatch, data_samples: Sequence[DataSample] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Compute all terms.

        Args:
            inputs: output of :class:`~mssdf.models.MaskingDataPreprocessor`.
            data_samples: samples that name the files of the batch.
            **kwargs: arguments of other models, ignored.

        Returns:
            ``loss``: the weighted sum; each term unweighted under its own name; visible patches
            per window of each modality; at intervals the monitor's figures; ``files`` of the
            batch, for an error. ``rec`` is absent while its weight is 0: the teacher is not run.
        """
        terms = [term for term in self.loss_terms if term.awake(self.weights)]
        needs = Needs.of(terms)
        forward = self.run(inputs, needs)

        device = inputs.score.device
        with torch.autocast(device.type, enabled=False):
            values: dict[str, Tensor] = {}
            for term in terms:
                values |= term.compute(forward, inputs)
            weighted = {
                name: self.weights[name] * values[name] for name in SUMMED if name in values
            }
            loss = total([*weighted.values(), zero_of(idle_modules(self, terms), device)])

        log: dict[str, Any] = {name: values[name] for name in TERMS if name in values}
        log |= count_visible(inputs)
        if self.monitor_interval and self.iteration % self.monitor_interval == 0:
            log |= monitor_features(forward, inputs)
            if self.monitor_gradients and torch.is_grad_enabled():
                log |= encoder_gradients(self, weighted, forward)
        if data_samples:
            files = [(sample.get('files') or {}).values() for sample in data_samples]
            log['files'] = [str(path) for paths in files for path in paths]
        return dict(loss=loss, **log)

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum and log the losses as MMEngine does, and refuse a loss that is not finite.

        The log has means over the ranks, as one process with the whole batch would have it.

        Raises:
            NonFiniteLossError: on every rank, before the step; it names the terms and files of
                this rank.
        """
        values = {name: value for name, value in losses.items() if name != 'files'}
        loss, log = super().parse_losses(values)
        means = torch.stack([value.detach().float() for value in log.values()])
        all_reduce(means, op='mean')  # NaN and infinity stay what they are
        log = dict(zip(log, means, strict=True))
        check_finite(log['loss'], values, losses.get('files', []))
        return loss, log

    @torch.no_grad()
    def inspect(self, batch: MaskedBatch) -> dict:
        """Collect what a picture of the method shows of a batch of the data preprocessor.

        Returns:
            ``score`` (B, N); ``masks``, ``patch_valid`` (B, N), ``images`` (B, C, H, W),
            ``features`` (B, N, D) of the student that sees whole windows, ``predicted`` (B, N, D),
            ``targets`` (B, N, D) and ``reconstructed`` (B, C, H, W) per modality (None where the
            recipe has none); ``grid``.
        """
        needs = replace(Needs.of(self.loss_terms), second_view=False)
        forward = self.run(batch, needs, everywhere=True)
        seen = (batch.images, batch.patch_valid, batch.grid)
        return dict(
            score=batch.score,
            masks=batch.masks,
            patch_valid=batch.patch_valid,
            images=batch.images,
            features=encode_windows(self.backbone, self.embedding, *seen),
            predicted=forward.predicted or None,
            targets=forward.targets or None,
            reconstructed=reconstruct(self.loss_terms, forward, batch),
            grid=batch.grid,
        )
