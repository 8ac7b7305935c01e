"""Layers compiled by inductor, which takes minutes on a slow machine."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.tiny import tiny_batch, tiny_model

from mssdf.engine.hooks.compile_layers_hook import compile_layers


def test_losses_and_gradients_stay():
    def step(compiled: bool):
        model = tiny_model()
        if compiled:
            compile_layers(model, backend='inductor')
        torch.manual_seed(1)
        loss = model.loss(model.data_preprocessor(tiny_batch())['inputs'])['loss']
        loss.backward()
        return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    loss, gradients = step(False)
    found, others = step(True)
    assert found == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, atol=1e-5, rtol=1e-3, msg=name)
