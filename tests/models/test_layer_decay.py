"""Layer-wise decay of the rate, in models that do not know of layers."""

import pytest
from torch import nn

from mssdf.engine import LayerDecayOptimWrapperConstructor
from mssdf.models import MultiModalVisionTransformer, SimpleFPN

from .tiny import ARCH

OPTIM = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1))


def detector() -> nn.Module:
    model = nn.Module()
    model.backbone = MultiModalVisionTransformer(dict(rgb=3, dsm=1), arch=ARCH, img_size=64)
    model.neck = SimpleFPN(48, 32)
    return model


def test_rate_falls_with_depth():
    paramwise = dict(layer_decay_rate=0.5, norm_decay_mult=0.0, bias_decay_mult=0.0)
    model = detector()
    wrapper = LayerDecayOptimWrapperConstructor(OPTIM, paramwise)(model)
    groups = wrapper.optimizer.param_groups
    assert len(groups) == 10  # with and without weight decay at each of five depths
    group_of = {parameter: group for group in groups for parameter in group['params']}
    rates = {name: group_of[parameter]['lr'] for name, parameter in model.named_parameters()}
    assert len(rates) == sum(1 for parameter in model.parameters())
    # three layers: the stem lies four steps below the neck
    assert rates['neck.projections.0.0.weight'] == 1
    assert rates['backbone.ln1.weight'] == 1
    assert rates['backbone.layers.2.ffn.layers.1.weight'] == 0.5
    assert rates['backbone.layers.0.attn.qkv.weight'] == 0.125
    assert rates['backbone.patch_embed.projection.weight'] == 0.0625
    assert rates['backbone.embedding.projections.dsm.weight'] == 0.0625
    decay = {name: group_of[value]['weight_decay'] for name, value in model.named_parameters()}
    assert decay['backbone.layers.0.ln1.weight'] == 0 and decay['neck.scales.1.bias'] == 0
    assert decay['backbone.layers.0.attn.qkv.weight'] == 0.1


def test_backbone_without_depths():
    model = nn.Module()
    model.backbone = nn.Linear(2, 2)
    with pytest.raises(ValueError, match='expected a backbone with get_layer_depth, found Linear'):
        LayerDecayOptimWrapperConstructor(OPTIM, dict(layer_decay_rate=0.5))(model)
