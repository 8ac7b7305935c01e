"""Gradients of the modules that take no part in a step."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .terms import LossTerm, Needs, total


def idle_modules(model: Any, terms: Sequence[LossTerm]) -> list[nn.Module]:
    """Find the modules that take no part in a step.

    Args:
        model: :class:`~mssdf.models.MSSDF`.
        terms: loss terms that are computed in the step.
    """
    if not terms:
        return [model]

    needs = Needs.of(terms)
    idle = [] if needs.prediction else [model.feature_head]
    if not needs.decoder:
        idle += [model.fusion_decoder, model.modality_decoder]
    return [module for module in idle if module is not None]


def zero_of(modules: Iterable[nn.Module], device: torch.device) -> Tensor:
    """Compute a zero whose gradient is zero for every parameter of some modules.

    DistributedDataParallel waits for a gradient of every parameter. Sharded parameters need none.

    Args:
        modules: modules that take no part in the step.
        device: device of the result.

    Returns:
        A scalar, float32.
    """
    parameters = [
        parameter
        for module in modules
        for parameter in module.parameters()
        if parameter.requires_grad and not hasattr(parameter, 'full_tensor')
    ]
    zero = torch.zeros((), device=device, dtype=torch.float32)
    return zero + 0.0 * total(one.float().sum() for one in parameters) if parameters else zero
