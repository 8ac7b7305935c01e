"""One parameter group per distinct setting: the same training as with one per parameter."""

from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import DefaultOptimWrapperConstructor
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn

from mssdf.checkpoints.safe_load import CheckpointError
from mssdf.engine import LayerDecayOptimWrapperConstructor, TrainableOptimWrapperConstructor
from mssdf.models import MultiModalVisionTransformer

OPTIM = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1))
PARAMWISE = dict(
    norm_decay_mult=0.0,
    bias_decay_mult=0.0,
    custom_keys=dict(cls_token=dict(decay_mult=0.0), pos_embed=dict(decay_mult=0.0)),
)


class Net(nn.Module):
    """A vision transformer, a frozen copy of it, and parameters beside."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(8))
        self.body = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 8))
        self.pos_embed = nn.Parameter(torch.ones(8), requires_grad=False)
        self.teacher = deepcopy(self.body).requires_grad_(False)
        self.head = nn.Linear(8, 2)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(values + self.cls_token) + self.pos_embed).square().mean()


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def build(kind: type, model: nn.Module, **paramwise):
    return kind(OPTIM, PARAMWISE | paramwise)(model)


def train(model: nn.Module, wrapper, steps: range) -> None:
    for number in steps:
        wrapper.optimizer.zero_grad()
        model(torch.randn(4, 8, generator=torch.Generator().manual_seed(number))).backward()
        wrapper.optimizer.step()


def settings(model: nn.Module, wrapper) -> dict[str, tuple]:
    """What the optimizer does with each parameter."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    keys = ('lr', 'weight_decay', 'betas', 'eps')
    return {
        names[parameter]: tuple(group[key] for key in keys)
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }


@pytest.mark.parametrize(
    'extra', [{}, dict(custom_keys=dict(head=dict(lr_mult=0.1), body=dict(decay_mult=0.5)))]
)
def test_each_parameter_is_treated_as_mmengine_would(extra):
    model = net()
    merged = build(TrainableOptimWrapperConstructor, model, **extra)
    expected = settings(model, build(DefaultOptimWrapperConstructor, model, **extra))
    found = settings(model, merged)
    assert found == expected
    assert len(merged.optimizer.param_groups) == len(set(expected.values()))
    for group in merged.optimizer.param_groups:  # in the model's order
        members = {id(value) for value in group['params']}
        order = [id(value) for value in model.parameters() if id(value) in members]
        assert [id(value) for value in group['params']] == order


def test_the_pretraining_configs_need_two_groups(project_root):
    path = project_root / 'configs/_base_/schedules/adamw_coslr_500e.py'
    optim = Config.fromfile(path).optim_wrapper
    paramwise = optim.pop('paramwise_cfg')
    optim.pop('constructor')
    model = net()
    wrapper = TrainableOptimWrapperConstructor(dict(optim), paramwise)(model)
    assert len(wrapper.optimizer.param_groups) == 2
    assert wrapper.clip_grad_kwargs == dict(max_norm=3.0)


def test_layer_decay_merges_equal_depths():
    model = nn.Module()
    model.backbone = MultiModalVisionTransformer(dict(rgb=3, dsm=1), img_size=64, arch='deit-tiny')
    model.get_layer_depth = lambda name: model.backbone.get_layer_depth(name, 'backbone.')
    extra = dict(layer_decay_rate=0.75)
    expected = settings(model, build(LearningRateDecayOptimWrapperConstructor, model, **extra))
    merged = build(LayerDecayOptimWrapperConstructor, model, **extra)
    assert settings(model, merged) == expected
    assert len(merged.optimizer.param_groups) == len(set(expected.values())) < 30


def test_weights_are_bit_for_bit_those_of_one_group_per_parameter():
    trained = []
    for kind in (DefaultOptimWrapperConstructor, TrainableOptimWrapperConstructor):
        model = net()
        train(model, build(kind, model), range(5))
        trained.append(model.state_dict())
    for name, value in trained[0].items():
        assert torch.equal(value, trained[1][name]), name


def test_the_state_of_one_group_per_parameter_is_loaded():
    model, old = net(), None
    old = build(DefaultOptimWrapperConstructor, model)
    train(model, old, range(5))
    state, weights = deepcopy(old.state_dict()), deepcopy(model.state_dict())
    train(model, old, range(5, 8))

    resumed = net()
    resumed.load_state_dict(weights)
    wrapper = build(TrainableOptimWrapperConstructor, resumed)
    wrapper.load_state_dict(state)
    assert len(wrapper.optimizer.param_groups) == 2
    train(resumed, wrapper, range(5, 8))
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name

    # and its own state, saved and loaded
    again = net()
    again.load_state_dict(resumed.state_dict())
    other = build(TrainableOptimWrapperConstructor, again)
    other.load_state_dict(deepcopy(wrapper.state_dict()))
    train(resumed, wrapper, range(8, 10))
    train(again, other, range(8, 10))
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_states_that_can_not_be_loaded_say_so():
    model = net()
    wrapper = build(TrainableOptimWrapperConstructor, model)
    other = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(CheckpointError, match=r'expected groups of \[\d+, \d+\] .* \[1, 1, 1, 1\]'):
        wrapper.load_state_dict(build(DefaultOptimWrapperConstructor, other).state_dict())

    extra = dict(custom_keys=dict(head=dict(lr_mult=0.1)))
    old = build(DefaultOptimWrapperConstructor, model, **extra).state_dict()
    with pytest.raises(CheckpointError, match='expected one learning rate .*, found 2; finish'):
        build(TrainableOptimWrapperConstructor, model, **extra).load_state_dict(old)
