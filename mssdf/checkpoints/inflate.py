"""Loading of a pre-trained encoder with the patch embeddings of several modalities."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mssdf.errors import ConfigError

from .position_grid import stored_grid
from .safe_load import read_checkpoint, weights_of
from .strict_load import LoadReport, fill

PRIMARY = 'patch_embed.projection.weight'


def inflate_kernel(
    kernel: Tensor, num_bands: int, rgb_bands: Sequence[int] | None = None
) -> Tensor:
    """Convert a patch embedding's kernel to other bands than those it was trained on.

    Each new band gets the mean kernel over the old bands, scaled so that the sum over bands keeps
    its magnitude. Bands that are the old ones keep their own kernels.

    Args:
        kernel: kernel (D, C, p, p).
        num_bands: number C' of bands of the new kernel.
        rgb_bands: positions of the C old bands among the new ones.

    Returns:
        Kernel (D, C', p, p).

    Raises:
        ValueError: if ``rgb_bands`` does not fit the bands.
    """
    old_bands = kernel.shape[1]
    inflated = kernel.mean(dim=1, keepdim=True).repeat(1, num_bands, 1, 1)
    if rgb_bands is not None:
        places = list(rgb_bands)
        if len(set(places)) != old_bands or not all(0 <= place < num_bands for place in places):
            raise ConfigError(
                'rgb_bands', f'{old_bands} different bands from 0 to {num_bands - 1}', places
            )
        inflated[:, places] = kernel
    return inflated * (old_bands / num_bands)


def load_student(
    backbone: nn.Module,
    embedding: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str = 'backbone.',
) -> LoadReport:
    """Initialize a pre-training encoder and its patch embeddings from a checkpoint.

    The encoder is filled completely. The patch embeddings of other modalities are filled if the
    file has them; the others keep their weights, and the report names them as allowed.

    Args:
        backbone: encoder to fill.
        embedding: patch embeddings of the other modalities to fill.
        checkpoint: path of the checkpoint, whose code is not run.
        prefix: prefix of the encoder's keys in the file; the other embeddings have ``embedding.``.

    Returns:
        Report on the keys.

    Raises:
        CheckpointError: if the file cannot be read, the encoder is not filled completely, or a
            patch embedding in the file has another shape. Nothing is changed then.
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
    """Fill a ``MultiModalVisionTransformer`` from a pre-training checkpoint of any modalities.

    A patch embedding that the checkpoint lacks, or has for another number of bands, is derived from
    the checkpoint's primary one (:func:`inflate_kernel`). Modalities that the model does not use
    are left out. The report lists both; any other mismatch is an error.

    Args:
        model: backbone to fill.
        checkpoint: path of the checkpoint, whose code is not run.
        prefix: prefix of the plain ViT's keys in the file; the other embeddings have
            ``embedding.``.
        rgb_bands: positions of the old bands of the primary modality; see :func:`inflate_kernel`.
        allow_missing: prefixes of keys that may be missing; see
            :func:`~mssdf.checkpoints.load_pretrained`.
        allow_unexpected: prefixes of keys that may be left over.

    Returns:
        Report on the keys.

    Raises:
        CheckpointError: if the model is not filled; see :func:`~mssdf.checkpoints.load_pretrained`.
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
