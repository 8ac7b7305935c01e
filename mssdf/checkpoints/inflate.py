"""Loading a pre-trained encoder with the patch embeddings of several modalities."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .position_grid import stored_grid
from .safe_load import read_checkpoint, weights_of
from .strict_load import LoadReport, fill

PRIMARY = 'patch_embed.projection.weight'


def inflate_kernel(
    kernel: Tensor, num_bands: int, rgb_bands: Sequence[int] | None = None
) -> Tensor:
    """A patch embedding's kernel for other bands than it was trained on.

    Each new band gets the mean kernel over the old bands, and the sum over bands keeps its
    strength. Bands that are the old ones keep their own kernels.

    Args:
        kernel: (D, C, p, p).
        num_bands: C' of the new kernel.
        rgb_bands: where the C old bands stand among the new ones.

    Returns:
        (D, C', p, p).

    Raises:
        ValueError: if ``rgb_bands`` does not fit.
    """
    old_bands = kernel.shape[1]
    inflated = kernel.mean(dim=1, keepdim=True).repeat(1, num_bands, 1, 1)
    if rgb_bands is not None:
        places = list(rgb_bands)
        if len(set(places)) != old_bands or not all(0 <= place < num_bands for place in places):
            raise ValueError(
                f'rgb_bands: expected {old_bands} different bands from 0 to {num_bands - 1}, '
                f'found {places}'
            )
        inflated[:, places] = kernel
    return inflated * (old_bands / num_bands)


def load_student(
    backbone: nn.Module,
    embedding: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str = 'backbone.',
) -> LoadReport:
    """Start a pre-training encoder and its patch embeddings from a checkpoint.

    The encoder is filled whole. Of the patch embeddings of other modalities, those that the file
    has are filled; the others keep their weights, and the report names them as allowed.

    Args:
        backbone: encoder to fill.
        embedding: patch embeddings of the other modalities to fill.
        checkpoint: file to read; nothing in it is run.
        prefix: beginning of the encoder's keys in the file; ``embedding.`` is the others'.

    Returns:
        The report.

    Raises:
        CheckpointError: if the file cannot be read, the encoder is not filled whole, or a patch
            embedding in the file has another shape. Nothing is then changed.
    """
    content = read_checkpoint(checkpoint)
    weights = weights_of(content, checkpoint)
    whole = nn.ModuleDict(dict(backbone=backbone, embedding=embedding))
    start = {
        f'backbone.{name.removeprefix(prefix)}': value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
    own = whole.state_dict()
    start |= {name: weights[name] for name in weights if name.startswith('embedding.')}
    return fill(
        whole,
        start,
        checkpoint,
        allow_missing=[name for name in own if name.startswith('embedding.')],
        allow_unexpected=[name for name in start if name.startswith('embedding.')],
        hint='' if weights else f"no key in the file starts with '{prefix}'",
        grid=stored_grid(content),
    )


def load_multi_modal(
    model: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str = 'backbone.',
    rgb_bands: Sequence[int] | None = None,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> LoadReport:
    """Fill a ``MultiModalVisionTransformer`` from a pre-training checkpoint, of any modalities.

    A patch embedding that the checkpoint lacks, or has for another number of bands, is made from
    the checkpoint's primary one (:func:`inflate_kernel`). Modalities that the model does not use
    are left out. All this is in the report; anything else that does not fit is an error.

    Args:
        model: the backbone to fill.
        checkpoint: file to read; nothing in it is run.
        prefix: what the plain ViT's keys start with in the file; ``embedding.`` follows it.
        rgb_bands: see :func:`inflate_kernel`, for the primary modality.
        allow_missing: see :func:`~mssdf.checkpoints.load_pretrained`.
        allow_unexpected: likewise.

    Raises:
        CheckpointError: see :func:`~mssdf.checkpoints.load_pretrained`.
    """
    content = read_checkpoint(checkpoint)
    weights = weights_of(content, checkpoint)
    own = model.state_dict()
    state_dict = {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
    embeddings = {name: weights[name] for name in weights if name.startswith('embedding.')}
    state_dict |= {name: value for name, value in embeddings.items() if name in own}
    notes = [f'{name} not used here' for name in embeddings if name not in own]
    kernel = state_dict.get(PRIMARY)
    if kernel is not None:
        for name in [PRIMARY, *(name for name in own if name.startswith('embedding.'))]:
            given = state_dict.get(name)
            if given is not None and given.shape == own[name].shape:
                continue
            if own[name].ndim == 4 and own[name].shape[2:] == kernel.shape[2:]:
                bands = own[name].shape[1]
                places = rgb_bands if name == PRIMARY else None
                state_dict[name] = inflate_kernel(kernel, bands, places)
                notes.append(f"{name} made from the checkpoint's {PRIMARY} for {bands} band(s)")
            elif given is None and name.endswith('.bias'):
                state_dict[name] = torch.zeros_like(own[name])
                notes.append(f'{name} zero')
    fresh = [name for name in own if name.startswith('fusions.')]
    report = fill(
        model,
        state_dict,
        checkpoint,
        allow_missing=[*_as_list(allow_missing), *fresh],
        allow_unexpected=allow_unexpected,
        hint='' if state_dict else f"no key in the file starts with '{prefix}'",
        grid=stored_grid(content),
    )
    report.allowed += notes
    return report


def _as_list(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
