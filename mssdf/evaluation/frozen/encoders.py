"""Frozen encoders from checkpoints of this project, mmpretrain, timm and MAE."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmpretrain.models import VisionTransformer
from torch import Tensor, nn

from mssdf.models.backbones import DenseVisionTransformer, MaskedVisionTransformer
from mssdf.models.data_preprocessors import MultiModalDataPreprocessor
from mssdf.registry import MODELS
from mssdf.utils.checkpoint import CheckpointError, fill, read_checkpoint
from mssdf.utils.convert import convert, detect_format
from mssdf.utils.reading import weights_of

from ..checkpoint_encoder import build_initialized, config_of, normalization_of
from ..frozen_encoder import plain_vit
from .featurizer import PRIMARY, Tokens

IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
HEAD_WIDTH = 64  # of the usual ViTs; a huge one has 16 heads of 80
HASHED = 1 << 24  # bytes at a time


class FrozenViT:
    """A plain ViT and the patch embeddings of further modalities.

    Args:
        vit: the transformer with the primary modality's patch embedding.
        embedding: patch embeddings of all modalities; None for the primary one alone.
        preprocessor: normalization of each modality that has an input.
        normalization: where the mean and deviation come from.
    """

    metric = 'cosine'

    def __init__(
        self,
        vit: DenseVisionTransformer,
        embedding: nn.Module | None,
        preprocessor: MultiModalDataPreprocessor,
        normalization: str,
    ) -> None:
        self.vit, self.embedding = vit, embedding
        for module in (vit, embedding):
            if module is not None:
                module.eval()  # mmpretrain's returns None
                module.requires_grad_(False)
        self.preprocessor = preprocessor
        self.normalization = normalization

    def to(self, device: str) -> 'FrozenViT':
        """Move to a device."""
        for module in (self.vit, self.embedding, self.preprocessor):
            if module is not None:
                module.to(device)
        return self

    def patch_size(self, size: int) -> int:
        """Side of a patch in pixels."""
        return int(self.vit.patch_embed.projection.kernel_size[0])

    def takes(self, modality: str) -> bool:
        """Whether it has a patch embedding and a normalization for a modality."""
        known = modality in self.preprocessor.modalities
        return known and (modality == PRIMARY or self.embedding is not None)

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Features of a batch; see :class:`Featurizer`."""
        image = self.preprocessor.normalise(modality, values, valid)
        patch = self.patch_size(image.shape[-1])
        if image.shape[-1] % patch:
            raise ValueError(
                f'img_size: expected a multiple of the patch size {patch}, found {image.shape[-1]}'
            )
        if modality == PRIMARY:
            patches = self.vit.embed(image)[0]
        else:
            assert self.embedding is not None
            patches = self.embedding(modality, image, self.vit.patch_embed)
        side = image.shape[-1] // patch
        tokens = self.vit.encode(patches, (side, side))[-1]  # (B, E + N, D)
        extra = self.vit.num_extra_tokens
        pooled = dict(mean=tokens[:, extra:].mean(dim=1))
        if extra:
            pooled = dict(cls=tokens[:, 0]) | pooled
        return Tokens(pooled, tokens[:, extra:])


class FrozenMaps:
    """Any backbone of mmpretrain that gives feature maps; its patches are the last map's places.

    Args:
        backbone: the backbone.
        preprocessor: normalization of the colors.
        normalization: where the mean and deviation come from.
    """

    metric = 'cosine'

    def __init__(
        self, backbone: nn.Module, preprocessor: MultiModalDataPreprocessor, normalization: str
    ) -> None:
        backbone.eval()  # mmpretrain's returns None
        self.backbone = backbone.requires_grad_(False)
        self.preprocessor = preprocessor
        self.normalization = normalization
        self._patches: dict[int, int] = {}

    def to(self, device: str) -> 'FrozenMaps':
        """Move to a device."""
        self.backbone.to(device)
        self.preprocessor.to(device)
        return self

    def patch_size(self, size: int) -> int:
        """Pixels to a place of the last map."""
        if size not in self._patches:
            device = next(self.backbone.parameters()).device
            image = torch.zeros(1, 3, size, size, device=device)
            self._patches[size] = size // self._last(image).shape[-1]
        return self._patches[size]

    def takes(self, modality: str) -> bool:
        """Colors alone."""
        return modality == PRIMARY

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Features of a batch; see :class:`Featurizer`."""
        maps = self._last(self.preprocessor.normalise(modality, values, valid))
        patches = maps.flatten(2).transpose(1, 2)
        return Tokens(dict(mean=patches.mean(dim=1)), patches)

    @torch.no_grad()
    def _last(self, image: Tensor) -> Tensor:
        maps = self.backbone(image)[-1]
        if not isinstance(maps, Tensor) or maps.ndim != 4:
            raise ValueError(
                f'backbone: expected feature maps (B, D, h, w) of {type(self.backbone).__name__}, '
                f'found {type(maps).__name__} {tuple(getattr(maps, "shape", ()))}'
            )
        return maps


@dataclass
class EncoderFile:
    """A checkpoint, read when it is asked for.

    Attributes:
        path: file (or folder of a sharded checkpoint).
        config: file of the model's config, if the checkpoint keeps none.
        mean: mean of the colors in the images' unit, instead of the checkpoint's.
        std: deviation of the colors, likewise.
    """

    path: Path
    config: Path | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    _read: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def identity(self) -> str:
        """Hash of the content and of what is given beside it."""
        if 'identity' not in self._read:
            given = [self.mean, self.std]
            if self.config is not None:
                given.append(Config.fromfile(self.config).pretty_text)
            digest = hashlib.sha256(json.dumps(given).encode())
            _hash_content(Path(self.path), digest)
            self._read['identity'] = digest.hexdigest()[:20]
        return self._read['identity']

    def trained(self) -> FrozenViT | FrozenMaps:
        """The encoder with its weights."""
        return self._build(untrained=False)

    def untrained(self) -> FrozenViT | FrozenMaps:
        """The same encoder as it was initialized: same seed, same positions, same normalization."""
        return self._build(untrained=True)

    @property
    def architecture(self) -> str:
        """Text that is the same for encoders whose untrained ones are interchangeable."""
        read = self._content()
        shapes = {
            name: tuple(value.shape)
            for name, value in _encoder_weights(read['state']).items()
            if 'pos_embed' not in name
        }
        return hashlib.sha256(json.dumps(sorted(shapes.items())).encode()).hexdigest()

    @property
    def num_modalities(self) -> int:
        """Number of modalities that it has a normalization for."""
        names = [name for name in self._content()['state'] if name.startswith('data_preprocessor.')]
        return max(sum('.mean' in name for name in names), 1)

    @property
    def untrained_identity(self) -> str:
        """Hash of what the untrained encoder depends on."""
        read = self._content()
        config, state = read.get('config'), read['state']
        parts: list[Any] = [self.mean, self.std, self.architecture]
        if config is not None:
            parts += [config.model.backbone, config.model.get('embedding')]
            parts += [config.model.get('data_preprocessor', {}).get('modalities')]
            parts.append(config.get('randomness', {}).get('seed') or 0)
        parts.append(
            {
                name: value.flatten().tolist()
                for name, value in state.items()
                if name.startswith('data_preprocessor.')
            }
        )
        text = json.dumps(['untrained', *parts], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def _content(self) -> dict[str, Any]:
        if 'state' not in self._read:
            content = read_checkpoint(self.path)
            state = weights_of(content, self.path)
            self._read['state'] = state
            if any(name.startswith('backbone.') for name in state) or self.config:
                try:
                    self._read['config'] = config_of(content, self.path, self.config)
                except ValueError:
                    self._read['config'] = None  # a published backbone: its shapes tell enough
        return self._read

    def _build(self, untrained: bool) -> FrozenViT | FrozenMaps:
        read = self._content()
        state, config = read['state'], read.get('config')
        if config is not None and any(name.startswith('backbone.') for name in state):
            return self._build_configured(state, config, untrained)
        return self._build_bare(state, untrained)

    def _build_configured(
        self, state: Mapping[str, Tensor], config: Config, untrained: bool
    ) -> FrozenViT | FrozenMaps:
        """An encoder of MMEngine's kind: its config tells how it is built."""
        model, embedding = config.model, None
        (backbone,) = build_initialized(config, model.backbone)
        if not untrained:
            _fill(backbone, state, 'backbone.', self.path)
        if not isinstance(backbone, VisionTransformer):
            return FrozenMaps(backbone, *self._preprocessor(state, None))
        vit = plain_vit(backbone, model.backbone, DenseVisionTransformer)
        settings = model.get('data_preprocessor', {}).get('modalities') or {}
        modalities = [name for name in settings if normalization_of(state, name) is not None]
        if model.get('embedding') and PRIMARY in modalities:
            embedding = self._embedding(state, config, vit, modalities, untrained)
        return FrozenViT(vit, embedding, *self._preprocessor(state, settings if embedding else None))

    def _embedding(
        self,
        state: Mapping[str, Tensor],
        config: Config,
        vit: DenseVisionTransformer,
        modalities: list[str],
        untrained: bool,
    ) -> nn.Module:
        channels = {name: len(_stored(state, name)[0]) for name in modalities}
        described = dict(
            config.model.embedding,
            channels=channels,
            primary=config.model.get('primary') or PRIMARY,
            embed_dims=vit.embed_dims,
            patch_size=vit.patch_embed.projection.kernel_size[0],
        )
        (embedding,) = build_initialized(config, described)
        if not untrained and any(name.startswith('embedding.') for name in state):
            _fill(embedding, state, 'embedding.', self.path)
        return embedding

    def _build_bare(self, state: Mapping[str, Tensor], untrained: bool) -> FrozenViT:
        """Weights of a ViT alone: its shapes tell how it is built."""
        if any(name.startswith('backbone.') for name in state):
            state = {n: value for n, value in state.items() if n.startswith('backbone.')}
        elif any(name.startswith('layers.') for name in state):
            state = {f'backbone.{name}': value for name, value in state.items()}
        else:
            try:
                converted = convert(state, detect_format(state), img_size=None)
            except (KeyError, ValueError) as error:
                raise CheckpointError(f'{self.path}: {error.args[0]}') from None
            state = converted.state_dict
        weights = {name.removeprefix('backbone.'): value for name, value in state.items()}
        settings = settings_of(weights, self.path)
        if untrained:
            # as MAE starts, with its fixed positions: what a bare file does not tell
            (backbone,) = build_initialized(
                Config(), dict(settings, type='mssdf.MaskedVisionTransformer')
            )
        else:
            settings['with_cls_token'] = 'cls_token' in weights
            settings['final_norm'] = 'ln1.weight' in weights
            backbone = VisionTransformer(**settings, out_type='raw' if 'cls_token' in weights else 'featmap')
            fill(backbone, weights, self.path)
        kept = {key: settings[key] for key in ('final_norm', 'with_cls_token') if key in settings}
        return FrozenViT(
            plain_vit(backbone, kept, DenseVisionTransformer), None, *self._preprocessor(state, None)
        )

    def _preprocessor(
        self, state: Mapping[str, Tensor], settings: Mapping[str, Any] | None
    ) -> tuple[MultiModalDataPreprocessor, str]:
        """Normalization of every modality, and where that of the colors comes from."""
        stored = normalization_of(self._content()['state'], PRIMARY)
        if self.mean is not None and self.std is not None:
            source, (mean, std) = 'given', (list(self.mean), list(self.std))
        elif stored is not None:
            source, (mean, std) = "checkpoint's", (stored[0].tolist(), stored[1].tolist())
        elif any(name.startswith('data_preprocessor.') for name in state) or (
            self._content().get('config') is not None
        ):
            raise ValueError(
                f'{self.path}: it keeps no mean and std of RGB, give --mean and --std'
            )
        else:
            source, (mean, std) = "ImageNet's", IMAGENET
        modalities: dict[str, dict] = {PRIMARY: dict(mean=mean, std=std)}
        for name, described in (settings or {}).items():
            kept = normalization_of(state, name)
            if name == PRIMARY or kept is None:
                continue
            modalities[name] = dict(
                mean=kept[0].tolist(),
                std=kept[1].tolist(),
                relative_to_median=bool(described.get('relative_to_median')),
            )
        return MultiModalDataPreprocessor(modalities), source


def _encoder_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the encoder under mmpretrain's names, or all of a file of others."""
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
    """Settings of mmpretrain's VisionTransformer that the shapes of its weights tell.

    The number of heads is the width over 64 (16 for widths over 1024), as in all usual ViTs.

    Raises:
        CheckpointError: if these are no weights of one.
    """
    try:
        kernel, positions = weights['patch_embed.projection.weight'], weights['pos_embed']
        hidden = len(weights['layers.0.ffn.layers.0.0.weight'])
    except KeyError as error:
        raise CheckpointError(f'{path}: expected the weights of a ViT, lacking {error}') from None
    width, bands, patch = kernel.shape[0], kernel.shape[1], kernel.shape[2]
    depth = len({name.split('.')[1] for name in weights if name.startswith('layers.')})
    extra = int('cls_token' in weights)
    side = round((positions.shape[1] - extra) ** 0.5)
    return dict(
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


def _stored(state: Mapping[str, Tensor], modality: str) -> tuple[Tensor, Tensor]:
    found = normalization_of(state, modality)
    assert found is not None
    return found


def _fill(module: nn.Module, state: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    """Load the weights under a prefix, all of them."""
    part = {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}
    fill(module, part, path)


def _hash_content(path: Path, digest: Any) -> None:
    """Update a digest with the bytes of a file, or with what lies in a folder."""
    if path.is_dir():
        for file in sorted(one for one in path.rglob('*') if one.is_file()):
            status = file.stat()
            digest.update(f'{file.name} {status.st_size} {status.st_mtime_ns}'.encode())
        return
    if not path.is_file():
        raise CheckpointError(f'{path}: no such checkpoint file')
    with open(path, 'rb') as file_:
        while block := file_.read(HASHED):
            digest.update(block)
