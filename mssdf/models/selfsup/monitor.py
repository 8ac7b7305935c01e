"""Spread and rank of the features while training, so that a collapse shows (RankMe)."""

import torch
from torch import Tensor

from mssdf.evaluation.collapse import effective_rank, feature_std
from mssdf.structures import MaskedBatch

NUM_TOKENS = 1024


def content(tokens: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Take from each token what all windows have at its location: what is left is content.

    A collapsed encoder still tells positions apart; this does not count them.

    Args:
        tokens: (B, N, D), anything where ``keep`` is false.
        keep: (B, N) bool.

    Returns:
        (B, N, D) residuals and (B, N) bool, true where at least two windows have the location.
        For a single window, the residual from the mean of its tokens.
    """
    weight = keep.unsqueeze(-1).float()
    axis = 0 if len(tokens) > 1 else 1
    count = weight.sum(dim=axis, keepdim=True)
    mean = (tokens.float() * weight).sum(dim=axis, keepdim=True) / count.clamp(min=1)
    return (tokens.float() - mean) * weight, keep & (count > 1).squeeze(-1)


def _spread(tokens: list[Tensor], keep: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Standard deviation and effective rank over at most ``NUM_TOKENS`` tokens, evenly taken."""
    parts = [content(values, mask) for values, mask in zip(tokens, keep, strict=True)]
    flat = torch.cat([values[mask] for values, mask in parts])
    if len(flat) < 2:
        zero = flat.new_zeros(())
        return zero, zero
    flat = flat[torch.linspace(0, len(flat) - 1, min(NUM_TOKENS, len(flat))).long()]
    return feature_std(flat), effective_rank(flat)


@torch.no_grad()
def feature_monitor(
    student: dict[str, tuple[Tensor, Tensor, Tensor]],
    teacher: dict[str, Tensor],
    batch: MaskedBatch,
) -> dict[str, Tensor]:
    """Look at the encoder tokens of a batch.

    Args:
        student: tokens (B, K, D), locations (B, K) and keep (B, K) of each modality.
        teacher: tokens (B, N, D) of each modality; empty without a teacher.
        batch: the batch they come from.

    Returns:
        ``std_student`` and ``rank_student``, and the same of the teacher.
    """
    tokens, keep = [], []
    for name, (values, locations, _) in student.items():
        index = locations.unsqueeze(-1).expand_as(values)
        grid = values.new_zeros(*batch.score.shape, values.shape[-1]).scatter(1, index, values)
        tokens.append(grid)
        keep.append(~batch.masks[name])
    log = dict(zip(('std_student', 'rank_student'), _spread(tokens, keep), strict=True))
    if teacher:
        keep = [batch.patch_valid[name] for name in teacher]
        spread = _spread(list(teacher.values()), keep)
        log |= dict(zip(('std_teacher', 'rank_teacher'), spread, strict=True))
    return log
