"""L_align and L_hsic over a bounded draw of locations (method.md, section 6)."""

from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor

from mssdf.distributed import (
    gather_windows,
    gather_windows_with_gradient,
    own_windows,
    rank_and_world_size,
    sum_over_ranks,
)
from mssdf.errors import ConfigError
from mssdf.utils.options import check_choice, check_positive

from ..losses.alignment import info_nce, location_info_nce
from ..losses.hsic import linear_hsic
from ..losses.locations import sample_locations

GOLDEN = 0.6180339887
CHOICES = dict(features=('predicted', 'encoder'), negatives=('all', 'location'))


@dataclass(frozen=True)
class PairwiseOptions:
    """Options of L_align and L_hsic.

    Attributes:
        features: features that are compared: ``'predicted'`` for the tokens predicted for all
            locations, as in the paper; ``'encoder'`` for the encoder's tokens where both
            modalities are visible.
        negatives: source of L_align's negatives: ``'all'`` for everywhere, as in the paper;
            ``'location'`` for the same location of other windows, so that position tells nothing.
        num_locations: number of locations per window and step: with ``'all'`` on average, drawn
            from the whole batch; with ``'location'`` the same ones in all windows.
        max_rows: largest number of locations of the whole batch that ``'all'`` and L_hsic take.
        temperature: divisor of L_align's cosine similarities.
        projector: width of the projections that L_align compares, by a network for each modality;
            None compares the features themselves.
        centered: whether L_align's features are compared without their mean over the window, so
            that knowing the window tells nothing either: with ``'location'``, all negatives are
            of other windows.
        flat: range in meters within which a patch of heights counts as flat, for each such
            modality. With ``'location'``, windows that are both flat at a location are no
            negatives there: their heights don't tell them apart.

    Raises:
        ValueError: for a value that is not allowed, naming its key.
    """

    features: str = 'predicted'
    negatives: str = 'all'
    num_locations: int = 16
    max_rows: int = 8192
    temperature: float = 0.07
    projector: int | None = None
    centered: bool = False
    flat: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            check_choice(f'pairwise.{name}', getattr(self, name), choices)
        for name, least in (('num_locations', 1), ('max_rows', 2)):
            if getattr(self, name) < least:
                raise ConfigError(f'pairwise.{name}', f'at least {least}', getattr(self, name))
        check_positive('pairwise.temperature', self.temperature)
        if self.projector is not None:
            check_positive('pairwise.projector', self.projector)
        if min(self.flat.values(), default=0) < 0:
            raise ConfigError('pairwise.flat', 'meters of at least 0', self.flat)


def pairwise_terms(
    features: dict[str, Tensor],
    eligible: dict[str, Tensor],
    options: PairwiseOptions | None = None,
    noise: Tensor | None = None,
    projected: dict[str, Tensor] | None = None,
    flat: dict[str, Tensor] | None = None,
    align: bool = True,
    hsic: bool = True,
) -> dict[str, Tensor]:
    """Compute L_align and L_hsic, averaged over the pairs of modalities that each window has.

    Args:
        features: features (B, N, D) of each modality, which L_hsic compares.
        eligible: mask (B, N) of each modality's locations that may be drawn.
        options: options of the terms.
        noise: random numbers (B, N) in 0...1 from which the locations are drawn.
        projected: features (B, N, d) of each modality that L_align compares; None takes
            ``features``.
        flat: mask (B, N) of the patches of a modality that are flat.
        align: whether to compute ``'align'``.
        hsic: whether to compute ``'hsic'``.

    Returns:
        Scalars, 0 where no window has two modalities. Their mean over ranks is the term of the
        batch of all ranks.
    """
    options = options or PairwiseOptions()
    projected = features if projected is None else projected
    if options.centered:
        projected = {name: center(values, eligible[name]) for name, values in projected.items()}

    # a window counts once, however many pairs of modalities it has
    both = {
        (first, second): eligible[first] & eligible[second]
        for first, second in combinations(features, 2)
    }
    pairs_of_window = torch.stack([mask.any(dim=1) for mask in both.values()]).sum(dim=0)
    share = 1.0 / pairs_of_window.clamp(min=1)  # (B,)
    if noise is None:
        noise = torch.rand(share.shape[0], next(iter(both.values())).shape[1], device=share.device)

    by_location = align and options.negatives == 'location'
    by_rows = (align and not by_location, hsic)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for number, ((first, second), mask) in enumerate(both.items()):
        # each pair draws for itself: numbers shifted round the circle are as random
        shifted = (noise + number * GOLDEN) % 1.0

        # the same locations of all windows
        if by_location:
            pair = (projected[first], projected[second])
            level = [values for name, values in (flat or {}).items() if name in (first, second)]
            value = align_by_location(*pair, mask, share, shifted, options, level)
            found.setdefault('align', []).append(value)

        # any locations of the batch, in one draw for both terms
        if any(by_rows):
            values = (features[first], features[second], projected[first], projected[second])
            rows = terms_of_rows(values, mask, share, shifted, options, by_rows)
            for name, value in rows.items():
                found.setdefault(name, []).append(value)

    return {
        name: torch.stack([value for value, _ in values]).sum()
        / torch.stack([weight for _, weight in values]).sum().clamp(min=1e-6)
        for name, values in found.items()
    }


def center(features: Tensor, eligible: Tensor) -> Tensor:
    """Subtract from features their mean over the window's eligible locations.

    Args:
        features: features (B, N, d), anything where not eligible.
        eligible: mask (B, N) of the locations that count.

    Returns:
        Features (B, N, d), float32.
    """
    features = features.float()
    weight = eligible.unsqueeze(-1)
    total = features.masked_fill(~weight, 0.0).sum(dim=1, keepdim=True)
    return features - total / weight.sum(dim=1, keepdim=True).clamp(min=1)


def align_by_location(
    first: Tensor,
    second: Tensor,
    mask: Tensor,
    share: Tensor,
    noise: Tensor,
    options: PairwiseOptions,
    flat: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """Sum L_align over drawn locations, with negatives from the same location.

    Args:
        first: features (B, N, d) of one modality.
        second: features (B, N, d) of the other.
        mask: mask (B, N) of the locations that both have.
        share: weight (B,) of each window.
        noise: random numbers (B, N); those of the first window of all ranks decide.
        options: options of the term.
        flat: mask (B, N) of flat patches, for each modality of which two are no negatives.

    Returns:
        The weighted sum over this rank's anchors times the number of ranks, and the sum of the
        weights of all ranks.
    """
    count = min(options.num_locations, mask.shape[1])
    # the same locations on every rank, so that all have each other's windows there
    chosen = gather_windows(noise[:1])[0].topk(count, largest=False, sorted=False).indices  # (L,)

    sides = [
        gather_windows_with_gradient(values[:, chosen].float()).transpose(0, 1)
        for values in (first, second)
    ]
    valid = gather_windows(mask[:, chosen]).T  # (L, G)
    anchors = own_windows(len(mask), mask.device)

    indistinct = None
    for level in flat:
        own = level[:, chosen].T  # (L, B)
        both = own.unsqueeze(-1) & gather_windows(level[:, chosen]).T.unsqueeze(1)  # (L, B, G)
        indistinct = both if indistinct is None else indistinct | both

    loss, counted = location_info_nce(
        sides[0], sides[1], valid, anchors, indistinct, options.temperature
    )
    weight = counted * share
    # ranks have different anchors: the mean over them is then the sum over all anchors
    return (loss * weight).sum() * rank_and_world_size()[1], sum_over_ranks(weight.sum())


def terms_of_rows(
    values: tuple[Tensor, Tensor, Tensor, Tensor],
    mask: Tensor,
    share: Tensor,
    noise: Tensor,
    options: PairwiseOptions,
    wanted: tuple[bool, bool],
) -> dict[str, tuple[Tensor, Tensor]]:
    """Sum L_align with all negatives, and L_hsic, over rows drawn from the whole batch.

    Args:
        values: features (B, N, D) of both modalities, and their projections (B, N, d).
        mask: mask (B, N) of the locations that both have.
        share: weight (B,) of each window.
        noise: random numbers (B, N) that decide on the draw.
        options: options of the terms.
        wanted: whether to compute ``'align'``, and whether ``'hsic'``.

    Returns:
        Weighted sum and sum of weights of each term, the same on every rank.
    """
    windows = len(mask) * rank_and_world_size()[1]
    rows = max(2, min(options.max_rows, options.num_locations * windows))
    drawn = sample_locations(mask, rows, noise)

    # one exchange for all that a pair needs
    weight = torch.where(mask, share[:, None], 0.0)[..., None]
    taken = values if wanted[0] and values[2] is not values[0] else values[:2]
    parts = drawn.rows(*taken, weight).split([*(one.shape[-1] for one in taken), 1], dim=1)
    weight = parts[-1].squeeze(1).detach().masked_fill(~drawn.valid, 0.0)
    valid = weight > 0

    terms = {}
    if wanted[0]:
        left, right = parts[-3], parts[-2]
        loss = info_nce(left, right, valid, options.temperature)
        terms['align'] = ((loss * weight).sum(), weight.sum())
    if wanted[1]:
        terms['hsic'] = (linear_hsic(parts[0], parts[1], valid) * weight.sum(), weight.sum())
    return terms
