"""Pure functions of two dates that the change models share."""

import torch
from torch import Tensor

from mssdf.errors import ConfigError, Words

FUSIONS = ('difference', 'concatenation')


def split_dates(images: Tensor) -> Tensor:
    """Put the dates of (B, 2C, H, W) behind each other: (2B, C, H, W), the first date first.

    Raises:
        ValueError: if the number of bands is odd.
    """
    bands = images.shape[1]
    if bands % 2:
        raise ConfigError(
            'inputs', 'the bands of two dates behind each other', Words(f'{bands} bands')
        )
    return torch.cat(images.chunk(2, dim=1))


def dates_of(level: Tensor) -> tuple[Tensor, Tensor]:
    """Take the dates of a level (2B, C, H, W) apart; B stays open in an exported model."""
    first, second = level.unflatten(0, (2, -1)).unbind(0)
    return first, second


def fuse_dates(first: Tensor, second: Tensor, fusion: str) -> Tensor:
    """Fuse the features of two dates.

    Args:
        first: (B, C, H, W) features of the first date.
        second: (B, C, H, W) features of the second date.
        fusion: ``'difference'`` for the absolute difference, which is the same whichever date comes
            first, or ``'concatenation'``.

    Returns:
        (B, C, H, W), or (B, 2C, H, W) of the concatenation.
    """
    if fusion == 'difference':
        return (first - second).abs()
    return torch.cat([first, second], dim=1)


def consistent_labels(
    change: Tensor, first: Tensor, second: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Make maps that agree: a changed pixel has two different classes.

    Where change is more likely than not, the pair of different classes of the greatest joint
    probability is taken; elsewhere both maps are 0.

    Args:
        change: (2, H, W) logits of no change and change.
        first: (K, H, W) logits of the land cover at the first date.
        second: (K, H, W) logits of the land cover at the second date.

    Returns:
        (H, W) change (0 or 1), and (H, W) land cover at both dates, 0 where nothing changed,
        k + 1 for class k.
    """
    classes = first.shape[0]
    changed = change[1] > change[0]
    joint = first.log_softmax(dim=0).unsqueeze(1) + second.log_softmax(dim=0).unsqueeze(0)
    same = torch.eye(classes, dtype=torch.bool, device=first.device)[:, :, None, None]
    best = joint.masked_fill(same, -torch.inf).flatten(0, 1).argmax(dim=0)  # (H, W)
    before = torch.where(changed, best // classes + 1, 0)
    after = torch.where(changed, best % classes + 1, 0)
    return changed.long(), before, after
