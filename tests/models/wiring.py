"""Small models of the shipped recipes and others, raw windows, and what NumPy makes of them."""

import logging
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from mmengine import Config

import mssdf.models  # noqa: F401  registers
from mssdf.registry import MODELS
from mssdf.structures import MaskedBatch

from .reference.network import Network
from .reference.terms import Losses
from .reference.windows import Recipe
from .tiny import move

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/models'
GRID, PATCH, SIDE, WINDOWS = (3, 5), 8, 4, 6
BANDS = dict(rgb=3, dsm=1, ms=2)
MODALITIES = dict(
    rgb=dict(mean=[110.0, 90.0, 60.0], std=[55.0, 30.0, 12.0]),
    dsm=dict(mean=[0.5], std=[8.0], relative_to_median=True, min_span=5.0),
    ms=dict(mean=[300.0, 2100.0], std=[90.0, 400.0], min_span=700.0),
)


def raw_windows(
    names: tuple[str, ...], chosen: Iterable[int] = range(WINDOWS)
) -> dict[str, dict[str, np.ndarray]]:
    """Windows of 24 x 40 pixels, patches of unlike contrast, with holes and lacking modalities."""
    rng = np.random.default_rng(5)
    shape = (WINDOWS, 1, GRID[0] * PATCH, GRID[1] * PATCH)
    contrast = rng.gamma(1.0, 1.0, (WINDOWS, 1, *GRID)).repeat(PATCH, 2).repeat(PATCH, 3)
    rgb = np.array([120.0, 80.0, 60.0])[:, None, None] + 22 * contrast * rng.normal(
        size=(WINDOWS, 3, *shape[2:])
    )
    dsm = 130 + 3 * contrast[::-1] * rng.normal(size=shape)
    dsm[0] = 130 + 0.02 * rng.normal(size=shape[1:])  # flat ground
    dsm[4, :, :, :24] = 131 + 0.02 * rng.normal(size=(1, 24, 24))
    ms = np.array([300.0, 2000.0])[:, None, None] + 150 * contrast * rng.normal(
        size=(WINDOWS, 2, *shape[2:])
    )
    images = dict(
        rgb=rgb.clip(0, 255).astype(np.uint8),
        dsm=dsm.astype(np.float32),
        ms=ms.clip(0, 8000).astype(np.float32),
    )
    valid = {name: np.ones(shape, dtype=bool) for name in images}
    valid['dsm'][1] = False  # lacks heights
    valid['rgb'][2] = False  # lacks colors
    valid['ms'][[0, 2]] = False
    valid['dsm'][3, :, 2:18, 5:29] = False  # patches with shares of everything
    valid['rgb'][4, :, 6:, 30:] = False
    valid['ms'][5, :, :, 13:] = False
    images['dsm'][3, :, 2:18, 5:29] = -9999.0
    images['dsm'][5, 0, 3, 7] = np.nan  # not declared
    images['dsm'][5, 0, 20:, 33:37] = -3.4e38
    images['ms'][4, 1, 9, 9:12] = np.inf  # one band spoils the pixel
    images['ms'][3, 0, 20, 20] = 4e9  # damaged, but a number
    rows = list(chosen)
    return dict(
        images={name: images[name][rows] for name in names},
        valid={name: valid[name][rows] for name in names},
    )


@cache
def read(name: str) -> dict:
    """A shipped config as a dictionary; not to be changed."""
    return Config.fromfile(CONFIGS / name).to_dict()


@dataclass
class Case:
    """A configuration.

    Attributes:
        base: file below ``configs/_base_/models`` that it starts from.
        names: modalities, in the order of the config.
        settings: what is set beside, by dotted key of the model.
        p: share that cross-modal masking hides.
        progress: completed iterations and those of the whole training.
        ramps: schedules of loss weights.
        weights: weights of the loss terms at that progress, where a ramp changes them.
    """

    base: str
    names: tuple[str, ...]
    settings: dict = field(default_factory=dict)
    p: float = 0.3
    progress: tuple[int, int] = (0, 100)
    ramps: dict[str, tuple] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def config(self) -> Config:
        """The model's config."""
        model = Config(deepcopy(read(self.base))).model
        model.data_preprocessor.modalities = {
            name: deepcopy(MODALITIES[name]) for name in self.names
        }
        model.data_preprocessor.patch_size = PATCH
        model.backbone.update(
            arch=dict(embed_dims=24, num_layers=3, num_heads=3, feedforward_channels=36),
            img_size=SIDE * PATCH,
            patch_size=PATCH,
        )
        model.fusion_decoder.update(embed_dims=16, num_heads=2)
        model.modality_decoder.update(embed_dims=16, num_heads=4)
        if model.get('pairwise', {}).get('projector'):
            model.pairwise.projector = 10
        config = Config(dict(model=model))
        for key, value in self.settings.items():
            if isinstance(value, dict):  # whole, not merged into what the base has
                *path, last = key.split('.')
                place = config.model
                for part in path:
                    place = place[part]
                place[last] = deepcopy(value)
            else:
                config.merge_from_dict({f'model.{key}': value})
        return config.model

    def build(self) -> torch.nn.Module:
        """The model, no weight of which is zero, its teacher apart from the student."""
        torch.manual_seed(1)
        model = MODELS.build(self.config())
        logging.disable(logging.INFO)  # MMEngine lists every weight that it initializes
        model.init_weights()
        logging.disable(logging.NOTSET)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(0.1 * torch.randn_like(parameter))
        model.data_preprocessor.cross_modal_ratio = self.p
        move(model, *self.progress, losses=self.ramps)
        return model.train()

    def recipe(self) -> Recipe:
        """The masking's settings, read from the config."""
        given = self.config().data_preprocessor.to_dict()
        given.pop('type')
        cross = given.pop('cross_modal', None) or {}
        return Recipe(**given, **cross, p=self.p)

    def network(self, model: torch.nn.Module) -> Network:
        """The model's weights with the config's settings."""
        given = self.config()
        state = model.state_dict()
        decoders = (given.fusion_decoder, given.modality_decoder)
        shared = 'Shared' in given.embedding.type
        return Network(
            weights={key: value.double().numpy() for key, value in state.items()},
            modalities=tuple(sorted(self.names)),
            primary=given.primary,
            patch_size=PATCH,
            side=SIDE,
            depths=dict(
                backbone=given.backbone.arch.num_layers,
                fusion_decoder=decoders[0].num_layers,
                modality_decoder=decoders[1].num_layers,
            ),
            heads=dict(
                backbone=given.backbone.arch.num_heads,
                fusion_decoder=decoders[0].num_heads,
                modality_decoder=decoders[1].num_heads,
            ),
            shared=dict(given.embedding.get('composites') or {}) if shared else None,
            cls_path=given.get('cls_path', 'detached'),
            filled=given.fusion_decoder.get('filled', False),
            joint=given.modality_decoder.get('joint', False),
            queries=given.modality_decoder.get('queries', 'all'),
            average_layers=given.teacher.average_layers,
            target_norm=given.teacher.target_norm,
        )

    def losses(self) -> Losses:
        """The terms' settings, read from the config."""
        given = self.config()
        pairwise = given.pairwise.to_dict()
        instance, disc = given.get('instance', {}), given.get('discrimination', {})
        return Losses(
            weights={**given.losses, **self.weights},
            units={name: float(np.mean(MODALITIES[name]['std'])) for name in self.names},
            projected=bool(pairwise.pop('projector', None)),
            flat={m: v for m, v in pairwise.pop('flat', {}).items() if m in self.names},
            **pairwise,
            pixel_target=dict(given.get('pixel_target', {})),
            pixel_floor=dict(given.get('pixel_floor', {})),
            pool=instance.get('pool', 'cls'),
            instance_temperature=instance.get('temperature', 0.1),
            patch_temperature=disc.get('temperature', 0.1),
        )


CASES = {
    'the paper': Case('mssdf-paper_vit-b-p16.py', ('rgb', 'dsm')),
    'ours': Case('mssdf_vit-b-p16.py', ('rgb', 'dsm'), p=0.5),
    'the paper, other values': Case(
        'mssdf-paper_vit-b-p16.py',
        ('ms', 'rgb', 'dsm'),
        {
            'data_preprocessor.mask_ratio': 0.5,
            'data_preprocessor.quantiles': (0.33, 0.61),
            'data_preprocessor.weights': (0.2, 0.9, 0.4),
            'data_preprocessor.score_terms': ('variance',),
            'data_preprocessor.max_invalid_per_patch': 0.2,
            'data_preprocessor.cross_modal': dict(target='ms', complementary=True),
            'embedding.composites': dict(ms=[1, 0, 1]),
            'fusion_decoder.filled': True,
            'teacher': dict(target_norm='batch', average_layers=2),
            'pairwise.num_locations': 3,
            'pairwise.max_rows': 11,
            'pairwise.temperature': 0.3,
            'losses': dict(rec=0.7, align=0.3, hsic=1.9, cls=0.4, pix=0.6),
            'pixel_floor': dict(dsm=2.5, rgb=25.0),
            'cls_path': 'added',
        },
        p=0.5,
    ),
    'ours with a teacher and two crops': Case(
        'mssdf_vit-b-p16.py',
        ('rgb', 'ms', 'dsm'),
        {
            'data_preprocessor.mask_ratio': 0.4,
            'data_preprocessor.max_invalid_per_patch': 0.3,
            'data_preprocessor.weights': (0.1, 0.5, 0.9),
            'data_preprocessor.score_terms': ('gradient',),
            'data_preprocessor.cross_modal': dict(target='random'),
            'data_preprocessor.second_view': dict(kind='crop', scale=(0.3, 0.6)),
            'fusion_decoder.num_layers': 1,
            'modality_decoder.joint': False,
            'teacher': dict(target_norm=None, average_layers=1),
            'pairwise.num_locations': 4,
            'pairwise.temperature': 0.2,
            'pairwise.centered': True,
            'losses': dict(rec=0.5, align=0.4, hsic=0.3, pix=0.8, inst=0.6, disc=0.9),
            'pixel_target': dict(dsm='raw', ms='raw'),
            'instance': dict(pool='mean', temperature=0.3, projector=12),
            'discrimination': dict(temperature=0.4),
            'cls_path': 'none',
        },
        p=0.4,
    ),
    'heights first, two maskings': Case(
        'mssdf-paper_vit-b-p16.py',
        ('dsm', 'rgb', 'ms'),
        {
            'primary': 'dsm',
            'backbone.in_channels': 1,
            'data_preprocessor.mask_ratio': 0.6,
            'data_preprocessor.max_invalid_per_patch': 0.7,
            'data_preprocessor.second_view': dict(kind='masking'),
            'embedding': dict(type='mssdf.PerModalityPatchEmbedding'),
            'teacher': dict(target_norm='token', average_layers=3),
            'pairwise': dict(
                features='predicted',
                negatives='location',
                num_locations=5,
                projector=7,
                flat=dict(dsm=6.0, ms=900.0),
            ),
            'losses': dict(rec=0.5, align=0.4, hsic=0.0, cls=0.2, inst=0.6),
            'instance': dict(projector=5),
        },
        progress=(20, 100),
        ramps=dict(rec=(10, 30), cls=(0.1, 0.6)),
        weights=dict(rec=0.25, cls=0.2 * 0.2),
    ),
    'one view, a learned rendering': Case(
        'mssdf-paper_vit-b-p16.py',
        ('rgb', 'ms'),
        {
            'data_preprocessor.cross_modal': dict(target='rgb'),
            'data_preprocessor.weights': (1.0, 1.0, 1.0),
            'data_preprocessor.mask_ratio': 0.3,
            'modality_decoder.queries': 'hidden',
            'pairwise': dict(features='encoder', negatives='all', num_locations=2, projector=6),
            'losses': dict(rec=0.0, align=0.4, hsic=0.3, inst=0.6, disc=0.5),
            'instance': dict(pool='cls', temperature=0.7),
        },
        p=0.2,
    ),
}


def as_data(raw: dict[str, dict[str, np.ndarray]]) -> dict:
    """Raw windows as a collated batch."""
    return dict(
        inputs={name: torch.from_numpy(image.copy()) for name, image in raw['images'].items()},
        valid={name: torch.from_numpy(known.copy()) for name, known in raw['valid'].items()},
        data_samples=None,
    )


def made(model: torch.nn.Module, raw: dict[str, dict[str, np.ndarray]], seed: int) -> MaskedBatch:
    """The masked batch of the model's data preprocessor, drawn from a seed."""
    model.data_preprocessor.seed_next_batch(seed)
    return model.data_preprocessor(as_data(raw))['inputs']
