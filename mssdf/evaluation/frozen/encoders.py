"""Building of frozen encoders from checkpoints of this project, mmpretrain, timm and MAE."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpretrain.models import VisionTransformer
from torch import Tensor, nn

from mssdf.checkpoints.convert import convert, detect_format
from mssdf.checkpoints.safe_load import weights_of
from mssdf.checkpoints.strict_load import fill, read_checkpoint
from mssdf.errors import CheckpointError, FileError, one_line
from mssdf.models.backbones import DenseVisionTransformer
from mssdf.models.data_preprocessors import MultiModalDataPreprocessor

from ..checkpoint_encoder import build_initialized, config_of, normalization_of
from ..frozen_encoder import plain_vit
from .encoder_weights import (
    encoder_weights,
    fill_part,
    hash_content,
    settings_of,
    stored_normalization,
)
from .featurizer import PRIMARY
from .frozen_models import FrozenMaps, FrozenViT

IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
_MALFORMED = (
    ValueError, LookupError, TypeError, AttributeError, ImportError, AssertionError,
    RuntimeError, OSError,
)  # fmt: skip
PARTS = ('backbone.', 'embedding.', 'data_preprocessor.')


@dataclass
class EncoderFile:
    """A checkpoint of an encoder, read on demand.

    Attributes:
        path: path of the file, or of the folder of a sharded checkpoint.
        config: path of the model's config file, for a checkpoint that stores no config.
        mean: mean of the colors in the images' unit; None takes the checkpoint's.
        std: deviation of the colors in the images' unit; None takes the checkpoint's.
    """

    path: Path
    config: Path | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    _read: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def identity(self) -> str:
        """Hash of the checkpoint's content and of the given settings."""
        if 'identity' not in self._read:
            given = [self.mean, self.std]
            if self.config is not None:
                given.append(Config.fromfile(self.config).pretty_text)
            digest = hashlib.sha256(json.dumps(given).encode())
            hash_content(Path(self.path), digest)
            self._read['identity'] = digest.hexdigest()[:20]
        return self._read['identity']

    def trained(self) -> FrozenViT | FrozenMaps:
        """Build the encoder with its weights.

        Raises:
            CheckpointError: if the checkpoint cannot be read, built or loaded.
        """
        with self._named():
            return self._build(untrained=False)

    def untrained(self) -> FrozenViT | FrozenMaps:
        """Build the encoder as initialized: same seed, positions and normalization.

        Raises:
            CheckpointError: if the checkpoint cannot be read or built.
        """
        with self._named():
            return self._build(untrained=True)

    def forget(self) -> None:
        """Free the weights; they are read again on demand."""
        self._read.pop('state', None)

    @property
    def architecture(self) -> str:
        """Hash that is equal for encoders whose untrained versions are interchangeable."""
        with self._named():
            read = self._content()
        shapes = {
            name: tuple(value.shape)
            for name, value in encoder_weights(read['state']).items()
            if 'pos_embed' not in name
        }
        return hashlib.sha256(json.dumps(sorted(shapes.items())).encode()).hexdigest()

    @property
    def num_modalities(self) -> int:
        """Number of modalities with a normalization."""
        with self._named():
            state = self._content()['state']
        names = [name for name in state if name.startswith('data_preprocessor.')]
        return max(sum('.mean' in name for name in names), 1)

    @property
    def untrained_identity(self) -> str:
        """Hash of everything that the untrained encoder depends on."""
        parts: list[Any] = [self.mean, self.std, self.architecture]
        with self._named():
            read = self._content()
            config, state = read.get('config'), read['state']
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

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the file in any error of its content, such as a config of other code."""
        try:
            yield
        except (CheckpointError, FileError):
            raise
        except _MALFORMED as error:
            if getattr(error, 'filename', None) == str(self.path):
                raise
            # Errors of MMEngine's registry take several lines; the first one is kept.
            line = one_line(error)[:200]
            raise CheckpointError(
                self.path,
                'expected a config and weights that build an encoder, found: '
                f'{type(error).__name__}: {line}',
            ) from None

    def _content(self) -> dict[str, Any]:
        if 'state' not in self._read:
            content = read_checkpoint(self.path)
            state = weights_of(content, self.path)
            if any(name.startswith('backbone.') for name in state):
                # Teacher, decoders and heads are not needed.
                state = {n: value for n, value in state.items() if n.startswith(PARTS)}
            if any(name.startswith('backbone.') for name in state) or self.config:
                try:
                    self._read['config'] = config_of(content, self.path, self.config)
                except ValueError:
                    self._read['config'] = None  # a published backbone, whose shapes are sufficient
            self._read['state'] = state  # set last, so that an error recurs each time
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
        """Build an encoder of MMEngine's kind from its config."""
        model, embedding = config.model, None
        (backbone,) = build_initialized(config, model.backbone, path=self.path)
        if not untrained:
            fill_part(backbone, state, 'backbone.', self.path)
        if not isinstance(backbone, VisionTransformer):
            return FrozenMaps(backbone, *self._preprocessor(state, None))
        vit = plain_vit(backbone, model.backbone, DenseVisionTransformer)
        settings = model.get('data_preprocessor', {}).get('modalities') or {}
        modalities = [name for name in settings if normalization_of(state, name) is not None]
        if model.get('embedding') and PRIMARY in modalities:
            embedding = self._embedding(state, config, vit, modalities, untrained)
        return FrozenViT(
            vit, embedding, *self._preprocessor(state, settings if embedding else None)
        )

    def _embedding(
        self,
        state: Mapping[str, Tensor],
        config: Config,
        vit: DenseVisionTransformer,
        modalities: list[str],
        untrained: bool,
    ) -> nn.Module:
        """Build the patch embeddings of further modalities."""
        channels = {name: len(stored_normalization(state, name)[0]) for name in modalities}
        described = dict(
            config.model.embedding,
            channels=channels,
            primary=config.model.get('primary') or PRIMARY,
            embed_dims=vit.embed_dims,
            patch_size=vit.patch_embed.projection.kernel_size[0],
        )
        (embedding,) = build_initialized(config, described, path=self.path)
        if not untrained and any(name.startswith('embedding.') for name in state):
            fill_part(embedding, state, 'embedding.', self.path)
        return embedding

    def _build_bare(self, state: Mapping[str, Tensor], untrained: bool) -> FrozenViT:
        """Build an encoder from the weights of a ViT alone, by their shapes."""
        if any(name.startswith('backbone.') for name in state):
            state = {n: value for n, value in state.items() if n.startswith('backbone.')}
        elif any(name.startswith('layers.') for name in state):
            state = {f'backbone.{name}': value for name, value in state.items()}
        else:
            try:
                converted = convert(state, detect_format(state), img_size=None)
            except (KeyError, ValueError) as error:
                raise CheckpointError(self.path, one_line(error)) from None
            state = converted.state_dict

        weights = {name.removeprefix('backbone.'): value for name, value in state.items()}
        settings = settings_of(weights, self.path)

        if untrained:
            # A bare file does not give the initialization; it is MAE's, with fixed positions.
            (backbone,) = build_initialized(
                Config(), dict(settings, type='mssdf.MaskedVisionTransformer'), path=self.path
            )
        else:
            settings['with_cls_token'] = 'cls_token' in weights
            settings['final_norm'] = 'ln1.weight' in weights
            backbone = VisionTransformer(
                **settings, out_type='raw' if 'cls_token' in weights else 'featmap'
            )
            fill(backbone, weights, self.path)

        names = ('final_norm', 'with_cls_token', 'layer_scale_init_value')
        kept = {key: settings[key] for key in names if key in settings}
        return FrozenViT(
            plain_vit(backbone, kept, DenseVisionTransformer),
            None,
            *self._preprocessor(state, None),
        )

    def _preprocessor(
        self, state: Mapping[str, Tensor], settings: Mapping[str, Any] | None
    ) -> tuple[MultiModalDataPreprocessor, str]:
        """Build the normalization of every modality, and name the source of the colors'."""
        stored = normalization_of(self._content()['state'], PRIMARY)

        if self.mean is not None and self.std is not None:
            source, (mean, std) = 'given', (list(self.mean), list(self.std))
        elif stored is not None:
            source, (mean, std) = "checkpoint's", (stored[0].tolist(), stored[1].tolist())
        elif any(name.startswith('data_preprocessor.') for name in state) or (
            self._content().get('config') is not None
        ):
            raise FileError(self.path, 'mean and std of RGB', note='give --mean and --std')
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
