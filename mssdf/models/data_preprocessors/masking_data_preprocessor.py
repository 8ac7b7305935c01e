"""Scores and masks of every window, drawn in the data preprocessor (method.md, sections 1-3)."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mssdf.distributed import rank_and_world_size
from mssdf.errors import ConfigError, Words
from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch
from mssdf.utils.options import move_old_keys

from ..masking import (
    information_score,
    mask_across_modalities,
    may_be_ragged,
    sample_masks,
    scale_intensity,
    valid_patches,
)
from ..utils.draws import BatchGenerator, Source, uniform
from .multimodal_data_preprocessor import MultiModalDataPreprocessor
from .second_view import Windows, crop_windows, parse_second_view


def check_span(key: str, value: Any) -> float:
    """Refuse a span that is no number of at least 0, naming its key."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError(key, 'a number of at least 0', value)
    return float(value)


@MODELS.register_module()
class MaskingDataPreprocessor(MultiModalDataPreprocessor):
    """A preprocessor that normalizes a batch, scores its patches and masks them.

    ``cross_modal_ratio`` is p of section 3; a hook moves it with its schedule. Everything random
    about a step but the dropout is drawn here; :meth:`seed_next_batch` makes it independent of
    the number of ranks.

    Args:
        modalities: settings of each modality, as of :class:`MultiModalDataPreprocessor`; and
            **min_span**: least span of the intensities that the score is taken from, in the
            modality's unit (5 m for heights, so that noise on flat ground is not information), 0
            if not given.
        patch_size: side of a patch in pixels.
        mask_ratio: share of the patches that each modality hides, 0...1.
        quantiles: lower and upper quantile of the score, for
            :func:`~mssdf.models.masking.sampling_weights`.
        weights: weights below, between and above the quantiles; equal ones mask at random.
        score_terms: terms of the score, for :func:`~mssdf.models.masking.information_score`.
        max_invalid_per_patch: largest share of invalid pixels, 0...1, of a patch that still counts.
        cross_modal: ``target``: the modality of which more is hidden, or ``'random'`` to draw one
            of those present for each sample; ``complementary``: show as many others instead.
            None switches cross-modal masking off.
        second_view: ``kind`` and ``scale`` of :class:`~.second_view.SecondView`: another view of
            the same windows, in ``MaskedBatch.second``. None makes none.
        same_masks: whether to hide the same locations of all modalities instead of drawing for
            each by itself. Every location visible in one is then visible in all that have data
            there, and L_align can compare it, at any mask ratio. ``cross_modal`` then hides more
            of its target alone, which is to be told from what the other modalities show there.
        **kwargs: arguments of :class:`MultiModalDataPreprocessor`; a key of former versions
            (:data:`MOVED_KEYS`) is named in the log.

    Raises:
        ValueError: if a value is outside its range or the target is not a modality.
    """

    MOVED_KEYS = dict(max_invalid='max_invalid_per_patch')

    def __init__(
        self,
        modalities: dict[str, dict],
        patch_size: int = 16,
        mask_ratio: float = 0.75,
        quantiles: tuple[float, float] = (0.2, 0.8),
        weights: tuple[float, float, float] = (0.8, 0.5, 0.3),
        score_terms: tuple[str, ...] = ('gradient', 'variance'),
        max_invalid_per_patch: float = 0.5,
        cross_modal: dict | None = None,
        second_view: dict | None = None,
        same_masks: bool = False,
        **kwargs: Any,
    ) -> None:
        given = dict(kwargs, max_invalid_per_patch=max_invalid_per_patch)
        given = move_old_keys(given, self.MOVED_KEYS)
        max_invalid_per_patch = given.pop('max_invalid_per_patch')
        super().__init__(modalities=modalities, **given)
        if not isinstance(patch_size, int) or patch_size < 1:
            raise ConfigError('patch_size', 'an integer of 1 or more', patch_size)
        share = max_invalid_per_patch
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise ConfigError('max_invalid_per_patch', 'a share from 0 to 1', share)
        if not (isinstance(mask_ratio, int | float) and 0 <= mask_ratio < 1):
            raise ConfigError('mask_ratio', 'a number within 0...1 (1 excluded)', mask_ratio)
        if not 0 <= quantiles[0] <= quantiles[1] <= 1:
            raise ConfigError('quantiles', 'numbers that rise within 0...1', quantiles)
        if len(weights) != 3 or min(weights) <= 0:
            raise ConfigError('weights', 'three positive numbers', weights)

        cross_modal = dict(cross_modal or {})
        unknown = sorted(cross_modal.keys() - {'target', 'complementary'})
        if unknown:
            raise ConfigError('cross_modal', 'target and complementary', unknown)
        target: str | None = cross_modal.get('target')
        if target is not None and target not in (*self.modalities, 'random'):
            raise ConfigError(
                'cross_modal.target', f"one of {list(self.modalities)} or 'random'", target
            )
        if same_masks and cross_modal.get('complementary'):
            raise ConfigError(
                'same_masks', 'cross_modal.complementary=False beside it', Words('True')
            )

        self.patch_size = patch_size
        self.mask_ratio = mask_ratio
        self.quantiles = (quantiles[0], quantiles[1])
        self.weights = (weights[0], weights[1], weights[2])
        self.score_terms = tuple(score_terms)
        self.max_invalid_per_patch = max_invalid_per_patch
        self.min_span = {
            name: check_span(f'modalities.{name}.min_span', settings.get('min_span', 0.0))
            for name, settings in self.modalities.items()
        }

        # with a single modality nothing else shows what more is hidden
        self.target = target if len(self.modalities) > 1 else None
        self.complementary = cross_modal.get('complementary', False)
        self.cross_modal_ratio = 0.0
        self.second_view = parse_second_view(second_view)
        self.same_masks = same_masks
        self._next_seed: int | None = None

    def seed_next_batch(self, seed: int) -> None:
        """Draw for the next batch, and only it, as one process with the batch of all ranks would.

        Args:
            seed: seed of the draws, the same on every rank.
        """
        self._next_seed = seed

    def _source(self, device: torch.device) -> Source:
        """Return where a batch's random numbers come from: PyTorch unless it was seeded."""
        seed, self._next_seed = self._next_seed, None
        if seed is None:
            return None
        return BatchGenerator(torch.Generator(device).manual_seed(seed), rank_and_world_size())

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a collated batch.

        Args:
            data: collated batch, as of :class:`MultiModalDataPreprocessor`.
            training: whether the score is left out, and 0, where equal weights make no use of it.
                Windows are masked in any case.

        Returns:
            ``inputs``: :class:`~mssdf.structures.MaskedBatch`; ``data_samples`` as given.
        """
        images, valid = self.prepare(data)

        # sizes of the grid and of what the mask leaves
        height, width = next(iter(images.values())).shape[-2:]
        grid = (height // self.patch_size, width // self.patch_size)
        num_patches = grid[0] * grid[1]
        num_masked = int(self.mask_ratio * num_patches)
        num_visible = num_patches - num_masked
        num_extra = round(self.cross_modal_ratio * num_visible) if self.target else 0

        # what decides on shapes is looked up before the copy: asking the device would wait for it
        complete = {name: bool(mask.all()) for name, mask in valid.items()}
        patch_valid = {
            name: valid_patches(mask, self.patch_size, self.max_invalid_per_patch)
            for name, mask in valid.items()
        }
        visible, ragged = self._lengths(patch_valid, num_visible, num_extra)

        # from here on everything runs on the device
        images, valid, patch_valid = self.cast_data([images, valid, patch_valid])
        windows = Windows(images, valid, patch_valid, complete, visible, ragged, grid)
        source = self._source(next(iter(images.values())).device)
        scored = not training or len(set(self.weights)) > 1
        inputs = self._mask(windows, num_masked, num_extra, source, scored)
        if self.second_view is not None:
            inputs.second = self._second(inputs, windows, num_masked, num_extra, source, scored)
        return dict(inputs=inputs, data_samples=data.get('data_samples'))

    def _mask(
        self, windows: Windows, num_masked: int, num_extra: int, source: Source, scored: bool
    ) -> MaskedBatch:
        """Score, mask and normalize windows on the device."""
        known = next(iter(windows.patch_valid.values()))
        score = self._score(windows) if scored else torch.zeros_like(known, dtype=torch.float32)
        masks = self._masks(score, windows.patch_valid, num_masked, num_extra, source)
        return MaskedBatch(
            images={
                name: self.normalize(name, image, windows.valid[name])
                for name, image in windows.images.items()
            },
            pixel_valid=windows.valid,
            patch_valid=windows.patch_valid,
            masks=masks,
            score=score,
            num_visible=windows.num_visible,
            num_hidden=self._num_hidden(num_masked, num_extra, windows.ragged),
            same_masks=self.same_masks,
            ragged=windows.ragged,
            grid=windows.grid,
            noise=uniform(tuple(score.shape), score.device, source),
        )

    def _second(
        self,
        first: MaskedBatch,
        windows: Windows,
        num_masked: int,
        num_extra: int,
        source: Source,
        scored: bool,
    ) -> MaskedBatch:
        """Make the second view, drawn after everything of the first."""
        assert self.second_view is not None
        if self.second_view.kind == 'crop':
            scale = self.second_view.scale
            limit = self.max_invalid_per_patch
            part = crop_windows(windows, scale, self.patch_size, limit, source)
            return self._mask(part, num_masked, num_extra, source, scored)

        masks = self._masks(first.score, first.patch_valid, num_masked, num_extra, source)
        noise = uniform(tuple(first.score.shape), first.score.device, source)
        return replace(first, masks=masks, noise=noise)

    def _score(self, windows: Windows) -> Tensor:
        """Sum the information score (B, N) over the modalities."""
        scores = []
        for name, image in windows.images.items():
            pixels = None if windows.complete[name] else windows.valid[name]
            gray = scale_intensity(image, pixels, self.min_span[name])
            own = information_score(gray, self.patch_size, pixels, self.score_terms)
            scores.append(own.masked_fill(~windows.patch_valid[name], 0.0))
        return torch.stack(scores).sum(dim=0)

    def _masks(
        self,
        score: Tensor,
        patch_valid: dict[str, Tensor],
        num_masked: int,
        num_extra: int,
        source: Source,
    ) -> dict[str, Tensor]:
        """Draw the masks (B, N) of every modality."""
        if self.same_masks:
            anywhere = torch.stack(list(patch_valid.values())).any(dim=0)
            mask = sample_masks(score, num_masked, source, anywhere, self.quantiles, self.weights)
            masks = {name: mask | ~known for name, known in patch_valid.items()}
        else:
            masks = {
                name: sample_masks(score, num_masked, source, known, self.quantiles, self.weights)
                for name, known in patch_valid.items()
            }
        if self.target and num_extra:
            masks = self._mask_target(self.target, masks, patch_valid, source)
        return masks

    def _lengths(
        self, patch_valid: dict[str, Tensor], num_visible: int, num_extra: int
    ) -> tuple[dict[str, int], dict[str, bool]]:
        """Find the length of each modality's sequence, and whether samples differ in it."""
        target = self.target or ''
        alone = None
        if target in patch_valid and len(patch_valid) > 1:
            counts = [known.sum(dim=1) for name, known in patch_valid.items() if name != target]
            # one mask for all may hide whatever another modality has there
            hideable = len(patch_valid[target][0]) - num_visible if self.same_masks else 0
            alone = torch.stack(counts).amax(dim=0) <= hideable
        ragged = may_be_ragged(
            patch_valid, target, num_visible, num_extra, self.complementary, alone
        )
        if self.same_masks:  # the mask knows nothing of the holes of one modality
            ragged = {name: ragged[name] or not bool(patch_valid[name].all()) for name in ragged}

        visible = dict.fromkeys(patch_valid, num_visible)
        if alone is not None and num_extra and not self.complementary:
            # a window with the target alone keeps all of its visible patches
            if not bool((alone & patch_valid[target].any(dim=1)).any()):
                visible[target] = num_visible - num_extra
        return visible, ragged

    def _num_hidden(
        self, num_masked: int, num_extra: int, ragged: dict[str, bool]
    ) -> dict[str, int]:
        """Count the masked, valid patches that a window can have at most of each modality."""
        hides_more = {name for name in self.modalities if self.target in (name, 'random')}
        if self.complementary:  # shows as many as it hides, but where too few are left to show
            hides_more = {name for name in hides_more if ragged[name]}
        return {
            name: num_masked + (num_extra if name in hides_more else 0) for name in self.modalities
        }

    def _mask_target(
        self,
        name: str,
        masks: dict[str, Tensor],
        patch_valid: dict[str, Tensor],
        source: Source,
    ) -> dict[str, Tensor]:
        names = list(masks)
        stacked = torch.stack([masks[each] for each in names])  # (M, B, N)
        valid = torch.stack([patch_valid[each] for each in names])
        batch = stacked.shape[1]
        if name == 'random':
            present = valid.any(dim=2)  # (M, B)
            noise = uniform((batch, len(names)), present.device, source)
            target = (noise.T + present.float()).argmax(dim=0)
        else:
            target = stacked.new_full((batch,), names.index(name), dtype=torch.long)
        stacked = mask_across_modalities(
            stacked, target, self.cross_modal_ratio, source, valid, self.complementary
        )
        return dict(zip(names, stacked, strict=True))
