"""The end of training at a loss that is not finite."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..losses import NonFiniteLossError
from .loss_weights import TERMS


def check_finite(mean_loss: Tensor, losses: Mapping[str, Tensor], files: Sequence[str]) -> None:
    """Refuse a loss that is not finite on any rank.

    Args:
        mean_loss: mean of the loss over the ranks, a scalar.
        losses: loss and terms of this rank.
        files: files of this rank's batch.

    Raises:
        NonFiniteLossError: if it is not finite; it names the terms and files of this rank, and is
            raised on every rank.
    """
    if torch.isfinite(mean_loss):
        return

    terms = [
        f'{name}={losses[name].item():g}'
        for name in (*TERMS, 'loss')
        if name in losses and not torch.isfinite(losses[name])
    ]
    raise NonFiniteLossError(terms, files)
