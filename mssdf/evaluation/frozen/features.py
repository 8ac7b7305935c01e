"""Features of a whole evaluation set."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .data import EvaluationData
from .featurizer import PRIMARY, Featurizer

BATCH = 64


@dataclass
class SetFeatures:
    """Features of a set from one input, which may be several modalities side by side.

    Attributes:
        pooled: features (N, D) by the name of the pooling; empty for dense sets.
        patches: patch tokens (N, G, D) of dense sets; else None.
    """

    pooled: dict[str, Tensor]
    patches: Tensor | None


def inputs_of(featurizer: Featurizer, data: EvaluationData) -> dict[str, list[str]]:
    """List the inputs that can be measured: colors alone, and colors with each modality."""
    inputs = {PRIMARY: [PRIMARY]}
    for name in data.modalities:
        if featurizer.takes(name):
            inputs[f'{PRIMARY}+{name}'] = [PRIMARY, name]
    return inputs


@torch.no_grad()
def extract(
    featurizer: Featurizer, data: EvaluationData, modality: str, device: str, batch: int = BATCH
) -> SetFeatures:
    """Compute the features of every image from one modality.

    Args:
        featurizer: encoder or baseline.
        data: images of the set.
        modality: ``PRIMARY`` or the name of one of the set's modalities.
        device: device of the computation.
        batch: number of images per forward pass.

    Returns:
        Features on the device.
    """
    values, valid = (data.images, data.seen) if modality == PRIMARY else data.modalities[modality]
    pooled: dict[str, list[Tensor]] = {}
    patches: list[Tensor] = []
    for some, known in zip(values.split(batch), valid.split(batch), strict=True):
        tokens = featurizer(modality, some.to(device), known.to(device))
        if data.task == 'scenes':
            for name, features in tokens.pooled.items():
                pooled.setdefault(name, []).append(features.float())
        else:
            patches.append(tokens.patches.float())
    return SetFeatures(
        {name: torch.cat(parts) for name, parts in pooled.items()},
        torch.cat(patches) if patches else None,
    )


def side_by_side(parts: list[SetFeatures]) -> SetFeatures:
    """Concatenate the features of several modalities."""
    if len(parts) == 1:
        return parts[0]
    patches = [part.patches for part in parts if part.patches is not None]
    return SetFeatures(
        {name: torch.cat([part.pooled[name] for part in parts], dim=1) for name in parts[0].pooled},
        torch.cat(patches, dim=2) if patches else None,
    )
