"""Facts about an encoder that follow from the weights of its checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mssdf.checkpoints.convert import convert, detect_format
from mssdf.checkpoints.strict_load import fill
from mssdf.errors import CheckpointError

from ..checkpoint_encoder import normalization_of

HEAD_WIDTH = 64  # width of a head in the usual ViTs; ViT-H has 16 heads of 80
HASHED = 1 << 24  # number of bytes that are hashed at once


def encoder_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the encoder's weights under mmpretrain's names, or all of another library's file."""
    own = {
        name.removeprefix('backbone.'): value
        for name, value in state.items()
        if name.startswith('backbone.')
    }
    if own or any(name.startswith('layers.') for name in state):
        return own or dict(state)
    try:
        converted = convert(state, detect_format(state), img_size=None).state_dict
    except (KeyError, ValueError):
        return dict(state)
    return {name.removeprefix('backbone.'): value for name, value in converted.items()}


def settings_of(weights: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Derive the settings of mmpretrain's VisionTransformer from the shapes of its weights.

    The number of heads is the width over 64, or 16 for widths over 1024, as in all usual ViTs.

    Raises:
        CheckpointError: if these are not the weights of a ViT.
    """
    try:
        kernel, positions = weights['patch_embed.projection.weight'], weights['pos_embed']
        hidden = len(weights['layers.0.ffn.layers.0.0.weight'])
    except KeyError as error:
        raise CheckpointError(path, f'expected the weights of a ViT, lacking {error}') from None

    width, bands, patch = kernel.shape[0], kernel.shape[1], kernel.shape[2]
    depth = len({name.split('.')[1] for name in weights if name.startswith('layers.')})
    extra = int('cls_token' in weights)
    side = round((positions.shape[1] - extra) ** 0.5)
    scaled = any('.gamma' in name for name in weights)

    return dict(
        layer_scale_init_value=1e-5 if scaled else 0.0,
        arch=dict(
            embed_dims=width,
            num_layers=depth,
            num_heads=16 if width > 1024 else max(width // HEAD_WIDTH, 1),
            feedforward_channels=hidden,
        ),
        img_size=side * patch,
        patch_size=patch,
        in_channels=bands,
    )


def stored_normalization(state: Mapping[str, Tensor], modality: str) -> tuple[Tensor, Tensor]:
    """Return the mean and deviation of a modality that a checkpoint is known to store."""
    found = normalization_of(state, modality)
    assert found is not None
    return found


def fill_part(module: nn.Module, state: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    """Load all weights under a prefix into the module that their config builds."""
    part = {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}
    fill(module, part, path, grid=getattr(module, 'patch_resolution', None))


def hash_content(path: Path, digest: Any) -> None:
    """Update a digest with the bytes of a file, or with the files of a folder."""
    if path.is_dir():
        for file in sorted(one for one in path.rglob('*') if one.is_file()):
            status = file.stat()
            digest.update(f'{file.name} {status.st_size} {status.st_mtime_ns}'.encode())
        return
    if not path.is_file():
        raise CheckpointError(path, 'expected a checkpoint file, found none')
    with open(path, 'rb') as file_:
        while block := file_.read(HASHED):
            digest.update(block)
