"""The figures of the recipes (method.md, section 7) in the configs that ship."""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

import mssdf.engine.components  # noqa: F401  registers
from mssdf.utils.modality_keys import READING, without

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PRETRAIN = '{}_vit-{}-p16_8xb64-amp-coslr-500e_hr-pairs-320.py'


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


def pretraining(recipe: str, size: str = 'b') -> Config:
    return load(f'pretrain/{PRETRAIN.format(recipe, size)}')


@pytest.fixture(params=['mssdf-paper', 'mssdf'])
def either(request) -> Config:
    return pretraining(request.param)


def rates(config: Config, epoch_length: int) -> list[float]:
    """The learning rate of each iteration, by MMEngine's own schedulers."""
    settings = config.optim_wrapper.optimizer.to_dict()
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], **{k: v for k, v in settings.items() if k != 'type'})
    schedulers = []
    for each in deepcopy(config.param_scheduler):
        kind = PARAM_SCHEDULERS.get(each.pop('type'))
        assert each.pop('convert_to_iter_based')
        schedulers.append(
            kind.build_iter_from_epoch(optimizer=optimizer, epoch_length=epoch_length, **each)
        )
    found = []
    for _ in range(config.train_cfg.max_epochs * epoch_length):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_the_rate_warms_up_for_40_epochs_and_follows_a_cosine_to_the_500th(either):
    peak, length = 1.5e-4 * 512 / 256, 4
    assert either.train_dataloader.batch_size * 8 == either.auto_scale_lr.base_batch_size == 512
    assert either.train_cfg.max_epochs == 500
    found = rates(either, length)
    assert found[0] == pytest.approx(1e-6, rel=1e-3)
    for iteration in range(0, 40 * length, 7):
        progress = iteration / (40 * length - 1)
        assert found[iteration] == pytest.approx(1e-6 + (peak - 1e-6) * progress, rel=1e-3)
    for iteration in range(40 * length, 500 * length, 37):
        progress = (iteration - 40 * length) / (460 * length)
        expected = 1e-5 + (peak - 1e-5) * (1 + math.cos(math.pi * progress)) / 2
        assert found[iteration] == pytest.approx(expected, rel=0.01)
    assert max(found) == pytest.approx(peak, rel=1e-3)
    assert found[-1] == pytest.approx(1e-5, rel=1e-2)


class Small(torch.nn.Module):
    """One parameter of each kind that a recipe may treat alike or not."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token, self.pos_embed = (torch.nn.Parameter(torch.ones(1, 1, 4)) for _ in range(2))
        self.mask_tokens = torch.nn.Parameter(torch.ones(2, 1, 4))
        self.fusion_token = torch.nn.Parameter(torch.ones(1, 1, 4))
        self.linear, self.norm = torch.nn.Linear(4, 4), torch.nn.LayerNorm(4)
        self.conv = torch.nn.Conv2d(3, 4, 2)


def test_adamw_decays_neither_norms_nor_biases_nor_tokens_nor_positions(either):
    assert either.optim_wrapper.type == 'AmpOptimWrapper'
    model = Small()
    settings = dict(either.optim_wrapper.to_dict(), type='OptimWrapper')
    assert settings.pop('dtype') == 'bfloat16'
    with DefaultScope.overwrite_default_scope('mssdf'):
        optimizer = build_optim_wrapper(model, settings).optimizer
    assert isinstance(optimizer, torch.optim.AdamW)
    decays = {
        id(parameter): group['weight_decay']
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    for group in optimizer.param_groups:
        assert (group['lr'], group['betas']) == (3e-4, (0.9, 0.95))
    found = {name: decays[id(parameter)] for name, parameter in model.named_parameters()}
    decayed = {'linear.weight', 'conv.weight'}
    assert found == {name: 0.05 if name in decayed else 0.0 for name in found}


def test_windows_are_augmented_with_one_geometry_and_jitter_on_colors_alone(either):
    dataset = either.train_dataloader.dataset
    assert dataset.windows.size == 320
    assert dataset.windows.max_invalid_per_window == 0.5  # a window with more is drawn again
    steps = {step['type'].removeprefix('mssdf.'): step for step in dataset.pipeline}
    assert list(steps) == [
        'MultiModalRandomResizedCrop',
        'MultiModalRandomFlip',
        'MultiModalRandomRotate90',
        'MultiModalColorJitter',
        'PackMultiModalInputs',
    ]
    assert steps['MultiModalRandomResizedCrop']['size'] == 320
    assert steps['MultiModalRandomResizedCrop']['scale'] == (0.2, 1.0)
    assert steps['MultiModalColorJitter'].get('modality', 'rgb') == 'rgb'
    assert {m: s['suffix'] for m, s in dataset.modalities.items()} == dict(
        rgb='_dom.tif', dsm='_dsm.tif'
    )


def test_heights_are_relative_over_ten_meters_and_scored_over_five(either):
    dsm = either.model.data_preprocessor.modalities.dsm.to_dict()
    values = dict(mean=[0.0], std=[10.0], relative_to_median=True, min_span=5.0)
    assert without(READING, dsm) == values


def effective(config: Config) -> dict[str, Any]:
    """Settings of the method, defaults filled in."""
    model, hooks = config.model, config.default_hooks
    return dict(
        masking={
            key: model.data_preprocessor.get(key, default)
            for key, default in dict(
                mask_ratio=None,
                quantiles=None,
                weights=None,
                score_terms=('gradient', 'variance'),
                max_invalid_per_patch=0.5,
                cross_modal=None,
                same_masks=False,
                second_view=None,
            ).items()
        },
        embedding=model.embedding.type,
        fusion={k: v for k, v in model.fusion_decoder.items() if k != 'type'},
        decoder={k: v for k, v in model.modality_decoder.items() if k != 'type'},
        teacher=model.teacher.to_dict(),
        pairwise=model.pairwise.to_dict(),
        losses={name: weight for name, weight in model.losses.items() if weight},
        cls_path=model.get('cls_path', 'detached'),
        pixel_target=dict(model.get('pixel_target', {})),
        pixel_floor=dict(model.pixel_floor),
        drop_path=model.backbone.get('drop_path_rate', 0.0),
        schedules={k: v for k, v in hooks.schedules.to_dict().items() if k != 'type'},
    )


PAPER = dict(
    masking=dict(
        mask_ratio=0.75,
        quantiles=(0.2, 0.8),
        weights=(0.8, 0.5, 0.3),
        score_terms=('gradient', 'variance'),
        max_invalid_per_patch=0.5,
        cross_modal=dict(target='dsm', complementary=False),
        same_masks=False,
        second_view=None,
    ),
    embedding='mssdf.SharedPatchEmbedding',
    fusion=dict(embed_dims=384, num_layers=3, num_heads=6),
    decoder=dict(embed_dims=384, num_layers=4, num_heads=6),
    teacher=dict(target_norm='token', average_layers=1),
    pairwise=dict(features='predicted', negatives='all', num_locations=16, temperature=0.07),
    losses=dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1),
    cls_path='detached',
    pixel_target={},
    pixel_floor=dict(dsm=0.1),
    drop_path=0.0,
    schedules=dict(
        masking=dict(
            p=dict(type='Staircase', start=0.1, increment=0.1, every=10, maximum=0.7, by_epoch=True)
        ),
        teacher=dict(momentum=dict(type='Cosine', start=0.996, end=1.0)),
    ),
)
OURS = PAPER | dict(
    masking=PAPER['masking'] | dict(weights=(1.0, 1.0, 1.0), same_masks=True),
    embedding='mssdf.PerModalityPatchEmbedding',
    fusion=dict(embed_dims=384, num_layers=0, num_heads=6, filled=True),
    decoder=dict(embed_dims=384, num_layers=2, num_heads=6, queries='hidden', joint=True),
    pairwise=dict(
        features='encoder',
        negatives='location',
        num_locations=64,
        temperature=0.07,
        projector=128,
        flat=dict(dsm=0.3),
    ),
    losses=dict(align=0.2, pix=1.0),
    cls_path='token',
    pixel_target=dict(dsm='raw'),
    schedules=PAPER['schedules'] | dict(masking=dict(p=0.5)),
)


@pytest.mark.parametrize(('recipe', 'figures'), [('mssdf-paper', PAPER), ('mssdf', OURS)])
@pytest.mark.parametrize('size', ['t', 's', 'b', 'l'])
def test_the_method_is_the_recipes(recipe, figures, size):
    assert effective(pretraining(recipe, size)) == figures


ARCHITECTURES = dict(t=(192, 12, 3), s=(384, 12, 6), b=(768, 12, 12), l=(1024, 24, 16))


@pytest.mark.parametrize(('size', 'expected'), ARCHITECTURES.items())
@pytest.mark.parametrize('recipe', ['mssdf-paper', 'mssdf'])
def test_encoders_have_the_usual_sizes(recipe, size, expected):
    from mssdf.registry import MODELS

    settings = dict(pretraining(recipe, size).model.backbone)
    assert (settings['img_size'], settings['patch_size']) == (320, 16)
    backbone = MODELS.build(settings)
    width, depth, heads = expected
    assert (backbone.embed_dims, len(backbone.layers)) == (width, depth)
    assert backbone.layers[0].attn.num_heads == heads
    assert backbone.layers[0].ffn.feedforward_channels == 4 * width
    assert tuple(backbone.patch_resolution) == (20, 20)


ABLATIONS = {
    'no-align': dict(losses=dict(rec=1.0, hsic=0.2, cls=0.1)),
    'no-cls': dict(losses=dict(rec=1.0, align=0.5, hsic=0.2)),
    'no-hsic': dict(losses=dict(rec=1.0, align=0.5, cls=0.1)),
    'no-rec': dict(losses=dict(align=0.5, hsic=0.2, cls=0.1)),
    'random-masking': dict(masking=PAPER['masking'] | dict(weights=(0.5, 0.5, 0.5))),
    'no-cross-modal': dict(masking=PAPER['masking'] | dict(cross_modal=None)),
    'per-modality-embedding': dict(embedding='mssdf.PerModalityPatchEmbedding'),
}


@pytest.mark.parametrize(('name', 'change'), ABLATIONS.items())
def test_an_ablation_changes_what_its_name_says_alone(name, change):
    base = PRETRAIN.format('mssdf-paper', 'b').removesuffix('.py')
    assert effective(load(f'pretrain/ablations/{base}_{name}.py')) == PAPER | change


def test_pixels_are_added_where_the_ablation_says_so():
    base = PRETRAIN.format('mssdf-paper', 'b').removesuffix('.py')
    losses = load(f'pretrain/ablations/{base}_pix.py').model.losses
    assert losses.pix > 0
    assert {k: v for k, v in losses.items() if k != 'pix'} == PAPER['losses']


def layer_decay(config: Config) -> float:
    return config.optim_wrapper.paramwise_cfg.layer_decay_rate


def test_classification_as_the_paper():
    config = load('classification/mssdf_vit-b-p16_4xb64-adamw-100e_aid.py')
    assert config.train_cfg.max_epochs == config.param_scheduler[1].end == 100
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, layer_decay(config)) == ('AdamW', 1e-3, 0.75)
    assert config.train_dataloader.batch_size * 4 == config.auto_scale_lr.base_batch_size == 256
    assert config.model.backbone.img_size == 224
    loss = config.model.head.loss
    assert (loss.type, loss.label_smooth_val) == ('LabelSmoothLoss', 0.1)
    augments = [(each.type, each.alpha) for each in config.model.train_cfg.augments]
    assert augments == [('Mixup', 0.8), ('CutMix', 1.0)]
    steps = {step['type']: step for step in config.train_dataloader.dataset.pipeline}
    assert steps['RandomResizedCrop']['scale'] == 224
    assert 'RandAugment' in steps
    assert config.model.head.num_classes == config.model.data_preprocessor.num_classes == 30


def test_segmentation_as_the_paper():
    config = load('segmentation/mssdf_vit-b-p16-upernet_4xb4-adamw-80k_potsdam.py')
    assert config.train_cfg.max_iters == config.param_scheduler[1].end == 80000
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, layer_decay(config)) == ('AdamW', 6e-5, 1.0)
    neck = config.model.neck
    assert (neck.type, list(neck.scales)) == ('MultiLevelNeck', [4, 2, 1, 0.5])
    assert config.model.decode_head.type == 'UPerHead'
    assert tuple(config.model.backbone.out_indices) == (2, 5, 8, 11)
    crops = [s for s in config.train_dataloader.dataset.pipeline if s['type'] == 'RandomCrop']
    assert crops[0]['crop_size'] == (512, 512)
    assert config.train_dataloader.batch_size * 4 == config.auto_scale_lr.base_batch_size == 16


def test_heights_as_the_paper():
    config = load('height_estimation/mssdf_vit-b-p16-vpd_4xb8-adamw-30e_us3d.py')
    assert config.train_cfg.max_epochs == config.param_scheduler[1].end == 30
    assert config.model.type == 'DepthEstimator'
    assert config.optim_wrapper.optimizer.lr == 6e-5
    from mmseg.models.decode_heads import VPDDepthHead

    from mssdf.registry import MODELS

    assert issubclass(MODELS.get(config.model.decode_head.type), VPDDepthHead)
    assert tuple(config.model.backbone.out_indices) == (2, 5, 8, 11)
